package io.kbridge.samediff;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import java.util.Arrays;
import java.util.Map;
import java.util.stream.LongStream;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;

/** One node of the graph, as its mapping sees it: inputs and attributes to read, outputs to give. */
public final class SameDiffNode {
  private final Scope scope;
  private final GraphNode node;

  SameDiffNode(Scope scope, GraphNode node) {
    this.scope = scope;
    this.node = node;
  }

  /**
   * Returns the graph that is being made.
   *
   * @return the graph
   */
  public SameDiff sd() {
    return scope.sd();
  }

  /**
   * Returns the node.
   *
   * @return the node
   */
  public GraphNode node() {
    return node;
  }

  /**
   * Returns the node's attributes.
   *
   * @return the attributes
   */
  public Attributes attrs() {
    return node.attrs();
  }

  /**
   * Tells whether an optional input is there.
   *
   * @param i the input
   * @return false if it is null or past the end of the list
   */
  public boolean has(int i) {
    return i < node.inputs().size() && node.inputs().get(i) != null && scope.has(node.inputs().get(i));
  }

  /**
   * Returns an input.
   *
   * @param i the input
   * @return its variable
   */
  public SDVariable in(int i) {
    if (!has(i)) {
      throw new Refusal("input " + i + " is missing");
    }
    return scope.variable(node.inputs().get(i));
  }

  /**
   * Returns an input as a type.
   *
   * @param i the input
   * @param type the type
   * @return its variable, cast if need be
   */
  public SDVariable in(int i, DataType type) {
    return Formulas.cast(in(i), type);
  }

  /**
   * Returns what the spec declares of an input.
   *
   * @param i the input
   * @return name, shape and type
   */
  public ValueInfo info(int i) {
    return scope.info(node.inputs().get(i));
  }

  /**
   * Returns the declared shape of an input.
   *
   * @param i the input
   * @return the shape; {@link ValueInfo#ANY} where a size is chosen at call time
   */
  public long[] shape(int i) {
    return info(i).shape();
  }

  /**
   * Returns the number of axes of an input.
   *
   * @param i the input
   * @return the rank
   */
  public int rank(int i) {
    return shape(i).length;
  }

  /**
   * Returns the type of the first output.
   *
   * @return the type
   */
  public DataType type() {
    return node.outputs().get(0).dtype();
  }

  /**
   * Returns the sizes of an input.
   *
   * @param i the input
   * @return its sizes, known or not
   */
  public Sizes sizes(int i) {
    return Sizes.of(in(i), shape(i));
  }

  /**
   * Returns an attribute that is a list of sizes.
   *
   * @param name the attribute
   * @return the sizes
   */
  public Sizes dims(String name) {
    JsonNode list = attrs().json(name);
    if (!list.isArray()) {
      throw attrs().wrong(name, "a list of integers");
    }
    Sizes sizes = new Sizes(sd());
    list.forEach(size -> sizes.add(scope.size(size)));
    return sizes;
  }

  /**
   * Reads a number that has to be known.
   *
   * @param value the JSON
   * @return the number
   */
  public long known(JsonNode value) {
    Object size = scope.size(value);
    if (size instanceof Long) {
      return (Long) size;
    }
    throw new Refusal("a number that is known at call time only: " + value);
  }

  /**
   * Reads axes that are one integer or a list.
   *
   * @param name the attribute
   * @return the axes, in order
   */
  public int[] axes(String name) {
    JsonNode axes = attrs().json(name);
    long[] all = axes.isIntegralNumber() ? new long[] {axes.longValue()} : attrs().getLongs(name);
    return LongStream.of(all).sorted().mapToInt(Math::toIntExact).toArray();
  }

  /**
   * Gives the first output; it is cast to the declared type.
   *
   * @param value the output
   */
  public void give(SDVariable value) {
    give(0, value);
  }

  /**
   * Gives an output; it is cast to the declared type.
   *
   * @param i the output
   * @param value the output
   */
  public void give(int i, SDVariable value) {
    scope.define(node.outputs().get(i), Formulas.cast(value, node.outputs().get(i).dtype()));
  }

  /** The scope that the bodies of this node see. */
  Scope scope() {
    return scope;
  }

  static boolean isKnown(long... sizes) {
    return Arrays.stream(sizes).noneMatch(size -> size == ValueInfo.ANY);
  }

  /** Values by name: of the graph, or of a body on top of the graph around it. */
  interface Scope {
    SameDiff sd();

    boolean has(String name);

    SDVariable variable(String name);

    ValueInfo info(String name);

    Object size(JsonNode json);

    void define(ValueInfo info, SDVariable value);

    /** Builds a body whose inputs are bound to variables; returns its outputs. */
    SDVariable[] body(GraphNode owner, int index, Map<String, SDVariable> bound);
  }
}
