package io.kbridge.graph;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;

/** One operation of the graph: which op, what it reads, its attributes, what it gives. Immutable. */
public final class GraphNode {
  private final String name;
  private final String op;
  private final String scope;
  private final List<String> inputs;
  private final Attributes attrs;
  private final List<ValueInfo> outputs;

  /**
   * Makes a node.
   *
   * @param name its name
   * @param op the Keras operation's class name
   * @param scope path of the Keras layer it came from
   * @param inputs names of the values it reads; null for an absent optional one
   * @param attrs its attributes
   * @param outputs the values it defines
   */
  public GraphNode(
      String name, String op, String scope, List<String> inputs, Attributes attrs, List<ValueInfo> outputs) {
    this.name = Objects.requireNonNull(name, "name");
    this.op = Objects.requireNonNull(op, "op");
    this.scope = Objects.requireNonNull(scope, "scope");
    this.inputs = Collections.unmodifiableList(new ArrayList<>(inputs));
    this.attrs = Objects.requireNonNull(attrs, "attrs");
    this.outputs = Collections.unmodifiableList(new ArrayList<>(outputs));
  }

  /**
   * Returns the node's name.
   *
   * @return the name
   */
  public String name() {
    return name;
  }

  /**
   * Returns the operation, such as {@code Matmul}.
   *
   * @return the class name of the Keras operation
   */
  public String op() {
    return op;
  }

  /**
   * Returns the path of layer names the node came from, joined by {@code /}.
   *
   * @return the scope
   */
  public String scope() {
    return scope;
  }

  /**
   * Returns the names of the values the node reads.
   *
   * @return the names, in order; null for an absent optional input
   */
  public List<String> inputs() {
    return inputs;
  }

  /**
   * Returns the attributes.
   *
   * @return the attributes
   */
  public Attributes attrs() {
    return attrs;
  }

  /**
   * Returns the values the node defines.
   *
   * @return the values, in order
   */
  public List<ValueInfo> outputs() {
    return outputs;
  }

  /**
   * Names the node for messages: name, op and scope.
   *
   * @return the text
   */
  @Override
  public String toString() {
    return "node '" + name + "' (op " + op + ", layer '" + scope + "')";
  }
}
