package io.kbridge.plan.nd4j;

import io.kbridge.plan.Step;
import java.util.List;
import java.util.Objects;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** A step that knows which ND4J operations it is made of. */
final class Nd4jStep implements Step {
  private final String names;
  private final Step work;

  /**
   * Names a step.
   *
   * @param names ND4J's names of the operations, joined by commas; empty if Java code alone does the work
   * @param work the step
   */
  Nd4jStep(String names, Step work) {
    this.names = Objects.requireNonNull(names, "names");
    this.work = Objects.requireNonNull(work, "work");
  }

  /**
   * Makes one step of several.
   *
   * @param steps the steps, in the order they run
   * @return a step that runs them all
   */
  static Step all(List<Step> steps) {
    Step[] all = steps.toArray(new Step[0]);
    TreeSet<String> names =
        steps.stream().filter(step -> step instanceof Nd4jStep).map(step -> ((Nd4jStep) step).names).collect(Collectors.toCollection(TreeSet::new));
    return new Nd4jStep(
        String.join(", ", names),
        () -> {
          for (Step one : all) {
            one.run();
          }
        });
  }

  @Override
  public void run() {
    work.run();
  }

  @Override
  public String implementation() {
    return names.isEmpty() ? Step.super.implementation() : "ND4J " + names;
  }
}
