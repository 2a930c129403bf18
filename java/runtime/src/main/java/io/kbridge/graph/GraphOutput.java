package io.kbridge.graph;

import java.util.Objects;

/** An output of the model: a name for callers, and the value of the graph it stands for. Immutable. */
public final class GraphOutput {
  private final ValueInfo declared;
  private final String value;

  /**
   * Makes an output.
   *
   * @param declared the name callers use, shape and type
   * @param value the name of the value in the graph
   */
  public GraphOutput(ValueInfo declared, String value) {
    this.declared = Objects.requireNonNull(declared, "declared");
    this.value = Objects.requireNonNull(value, "value");
  }

  /**
   * Returns the name callers use, shape and type.
   *
   * @return the output as declared
   */
  public ValueInfo declared() {
    return declared;
  }

  /**
   * Returns the name of the value in the graph.
   *
   * @return the name
   */
  public String value() {
    return value;
  }
}
