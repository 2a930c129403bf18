package io.kbridge.plan;

import io.kbridge.graph.GraphNode;
import java.util.Collections;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;

/** What a plan does at one step. Immutable. */
public final class StepInfo {
  private final String node;
  private final List<String> members;
  private final String ops;
  private final String scope;
  private final String implementation;
  private final double microseconds;

  StepInfo(GraphNode node, List<GraphNode> members, Step step, double microseconds) {
    this.node = Objects.requireNonNull(node, "node").name();
    this.members = Collections.unmodifiableList(members.stream().map(GraphNode::name).collect(Collectors.toList()));
    this.ops = node.op();
    this.scope = node.scope();
    this.implementation = step.implementation();
    this.microseconds = microseconds;
  }

  private StepInfo(StepInfo step, String implementation) {
    this.node = step.node;
    this.members = step.members;
    this.ops = step.ops;
    this.scope = step.scope;
    this.implementation = implementation;
    this.microseconds = step.microseconds;
  }

  /** Returns the same with more said about what computes it. */
  StepInfo noting(String more) {
    return new StepInfo(this, implementation + more);
  }

  /**
   * Returns the node.
   *
   * @return its name; of nodes computed as one, that of the last
   */
  public String node() {
    return node;
  }

  /**
   * Returns all nodes that the step computes.
   *
   * @return their names, in the order they run
   */
  public List<String> members() {
    return members;
  }

  /**
   * Returns what is computed.
   *
   * @return the op, or several joined by {@code +}
   */
  public String ops() {
    return ops;
  }

  /**
   * Returns the layer.
   *
   * @return the path of its name; of several, that of the last
   */
  public String scope() {
    return scope;
  }

  /**
   * Returns what computes it.
   *
   * @return the library and which of its operations or implementations
   */
  public String implementation() {
    return implementation;
  }

  /**
   * Returns how long the step took.
   *
   * @return the shortest time of all runs in microseconds, or NaN if it was not run
   */
  public double microseconds() {
    return microseconds;
  }

  /**
   * Describes the step.
   *
   * @return one line
   */
  @Override
  public String toString() {
    return node + ": " + ops + " by " + implementation;
  }
}
