package io.kbridge.plan.onednn;

import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.List;

/** A step with copies into other layouts before and after it. */
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
