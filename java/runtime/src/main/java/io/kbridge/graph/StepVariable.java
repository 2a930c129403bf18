package io.kbridge.graph;

import java.util.Objects;

/** A variable of the steps that is no weight of the model: of a metric, or a state, which goes on in a bundle that was saved. Immutable. */
public final class StepVariable {
  private final ArrayEntry entry;
  private final boolean metric;

  /**
   * Makes a variable.
   *
   * @param entry name, shape and type, and where its first content is
   * @param metric whether it is a metric's; otherwise it is a layer's state
   */
  public StepVariable(ArrayEntry entry, boolean metric) {
    this.entry = Objects.requireNonNull(entry, "entry");
    this.metric = metric;
  }

  /**
   * Returns name, shape and type, and where its first content is: a number for all elements, or a path.
   *
   * @return the entry
   */
  public ArrayEntry entry() {
    return entry;
  }

  /**
   * Tells whether it is a metric's, which is reset at the start of an epoch.
   *
   * @return false for a layer's state
   */
  public boolean isMetric() {
    return metric;
  }
}
