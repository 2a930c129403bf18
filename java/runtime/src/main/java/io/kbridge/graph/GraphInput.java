package io.kbridge.graph;

import java.util.Objects;

/** An input of the model. Immutable. */
public final class GraphInput {
  private final ValueInfo value;
  private final boolean optional;

  /**
   * Makes an input.
   *
   * @param value name, shape and type
   * @param optional true if a call may leave it out
   */
  public GraphInput(ValueInfo value, boolean optional) {
    this.value = Objects.requireNonNull(value, "value");
    this.optional = optional;
  }

  /**
   * Returns name, shape and type.
   *
   * @return the value
   */
  public ValueInfo value() {
    return value;
  }

  /**
   * Tells whether a call may leave the input out.
   *
   * @return true if it may
   */
  public boolean optional() {
    return optional;
  }
}
