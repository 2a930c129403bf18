package io.kbridge.plan.onednn;

import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.List;

/** Several steps as one, such as one with copies into other layouts before and after it. */
final class StepGroup implements Step {
  private final Step[] steps;
  private final String implementation;

  StepGroup(List<Step> before, Step main, List<Step> after) {
    List<Step> all = new ArrayList<>(before);
    all.add(main);
    all.addAll(after);
    steps = all.toArray(new Step[0]);
    implementation = main.implementation() + ", with " + (all.size() - 1) + " reorder";
  }

  /** Steps that belong together. */
  StepGroup(List<Step> all, String implementation) {
    steps = all.toArray(new Step[0]);
    this.implementation = implementation;
  }

  @Override
  public void run() {
    for (Step step : steps) {
      step.run();
    }
  }

  @Override
  public String implementation() {
    return implementation;
  }
}
