package io.kbridge.graph;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/** One operation of the graph: which op, what it reads, its attributes, what it gives. Immutable. */
public final class GraphNode {
  private final String name;
  private final String op;
  private final String scope;
  private final List<String> inputs;
  private final Attributes attrs;
  private final List<ValueInfo> outputs;
  private final List<GraphBody> bodies;

  /**
   * Makes a node without bodies.
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
    this(name, op, scope, inputs, attrs, outputs, List.of());
  }

  /**
   * Makes a node.
   *
   * @param name its name
   * @param op the Keras operation's class name
   * @param scope path of the Keras layer it came from
   * @param inputs names of the values it reads; null for an absent optional one
   * @param attrs its attributes
   * @param outputs the values it defines
   * @param bodies the graphs it runs
   */
  public GraphNode(
      String name,
      String op,
      String scope,
      List<String> inputs,
      Attributes attrs,
      List<ValueInfo> outputs,
      List<GraphBody> bodies) {
    this.name = Objects.requireNonNull(name, "name");
    this.op = Objects.requireNonNull(op, "op");
    this.scope = Objects.requireNonNull(scope, "scope");
    this.inputs = Collections.unmodifiableList(new ArrayList<>(inputs));
    this.attrs = Objects.requireNonNull(attrs, "attrs");
    this.outputs = Collections.unmodifiableList(new ArrayList<>(outputs));
    this.bodies = Collections.unmodifiableList(new ArrayList<>(bodies));
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
   * Returns the graphs a node of control flow runs.
   *
   * @return the bodies, in the order its attributes name them; most nodes have none
   */
  public List<GraphBody> bodies() {
    return bodies;
  }

  /**
   * Finds the values whose shapes the node depends on, beside those it reads.
   *
   * @return names of values; those of its bodies with them
   * @throws IllegalArgumentException if a size is not written as it should be
   */
  public Set<String> shapeReferences() {
    Set<String> names = new LinkedHashSet<>(Dims.references(attrs.json()));
    bodies.forEach(body -> body.nodes().forEach(node -> names.addAll(node.shapeReferences())));
    return names;
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
