package io.kbridge.graph;

import java.util.Objects;

/** What a weight is replaced by after each update of the optimizer. Immutable. */
public final class WeightConstraint {
  private final String weight;
  private final ModelGraph graph;
  private final String value;

  /**
   * Makes a constraint.
   *
   * @param weight the weight
   * @param graph what is computed; it reads the weight by its name
   * @param value the value of the graph that replaces the weight
   * @throws IllegalArgumentException if the value does not fit the weight
   */
  public WeightConstraint(String weight, ModelGraph graph, String value) {
    this.weight = Objects.requireNonNull(weight, "weight");
    this.graph = Objects.requireNonNull(graph, "graph");
    this.value = Objects.requireNonNull(value, "value");
    ArrayEntry entry = graph.weights().get(weight);
    ValueInfo given = graph.values().get(value);
    if (entry == null || given == null || given.type() != entry.value().type() || !given.accepts(entry.value().shape())) {
      throw new IllegalArgumentException("weight '" + weight + "' cannot be constrained to " + given);
    }
  }

  /**
   * Returns the weight.
   *
   * @return its name
   */
  public String weight() {
    return weight;
  }

  /**
   * Returns what is computed.
   *
   * @return a graph without inputs that reads the weight
   */
  public ModelGraph graph() {
    return graph;
  }

  /**
   * Returns what replaces the weight.
   *
   * @return a value of the graph
   */
  public String value() {
    return value;
  }
}
