package io.kbridge.graph;

import java.util.Objects;

/** What a variable is given by a call or a step: a weight, a state of a layer, a variable of a metric. Immutable. */
public final class VariableUpdate {
  private final String variable;
  private final String value;

  /**
   * Makes an update.
   *
   * @param variable name of the variable
   * @param value the value of the graph that it is given
   */
  public VariableUpdate(String variable, String value) {
    this.variable = Objects.requireNonNull(variable, "variable");
    this.value = Objects.requireNonNull(value, "value");
  }

  /**
   * Returns the variable.
   *
   * @return its name
   */
  public String variable() {
    return variable;
  }

  /**
   * Returns what it is given.
   *
   * @return a value of the graph
   */
  public String value() {
    return value;
  }
}
