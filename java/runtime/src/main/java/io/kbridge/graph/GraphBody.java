package io.kbridge.graph;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/** The graph that a node of control flow runs: a step of a loop, a condition, a branch. Immutable. */
public final class GraphBody {
  private final String name;
  private final List<ValueInfo> inputs;
  private final List<GraphNode> nodes;
  private final List<String> outputs;

  /**
   * Makes a body.
   *
   * @param name its key in the spec's graphs
   * @param inputs what the node binds before each run
   * @param nodes its operations, in the order they run
   * @param outputs names of the values it gives
   */
  public GraphBody(String name, List<ValueInfo> inputs, List<GraphNode> nodes, List<String> outputs) {
    this.name = Objects.requireNonNull(name, "name");
    this.inputs = Collections.unmodifiableList(new ArrayList<>(inputs));
    this.nodes = Collections.unmodifiableList(new ArrayList<>(nodes));
    this.outputs = Collections.unmodifiableList(new ArrayList<>(outputs));
  }

  /**
   * Returns the body's name.
   *
   * @return its key in the spec's graphs
   */
  public String name() {
    return name;
  }

  /**
   * Returns what is bound before each run.
   *
   * @return the inputs, in order
   */
  public List<ValueInfo> inputs() {
    return inputs;
  }

  /**
   * Returns the operations.
   *
   * @return the nodes, in the order they run
   */
  public List<GraphNode> nodes() {
    return nodes;
  }

  /**
   * Returns what the body gives.
   *
   * @return names of values: of its nodes, its inputs, or of the graph around it
   */
  public List<String> outputs() {
    return outputs;
  }

  /**
   * Returns what the body reads of the graph around it.
   *
   * @return names of values
   */
  public Set<String> captured() {
    Set<String> read = new LinkedHashSet<>(outputs);
    nodes.forEach(node -> read.addAll(node.inputs()));
    read.remove(null);
    inputs.forEach(input -> read.remove(input.name()));
    nodes.forEach(node -> node.outputs().forEach(output -> read.remove(output.name())));
    return read;
  }
}
