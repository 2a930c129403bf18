package io.kbridge.train;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.GraphOutput;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Writes nodes of a graph whose sizes are all known, one after the other, and the constants they read. Not thread safe. */
public class GraphWriter {
  private final Shared shared;
  private final List<GraphNode> nodes = new ArrayList<>();
  private String scope = "";

  /** What a writer and those of its bodies have in common. */
  private static final class Shared {
    private final String prefix;
    private final Map<String, INDArray> constants = new LinkedHashMap<>();
    private final Map<List<Object>, Sym> scalars = new HashMap<>();
    private int count;

    Shared(String prefix) {
      this.prefix = prefix;
    }
  }

  /**
   * Starts a graph.
   *
   * @param prefix what the names of all values that are written begin with, so that they meet no others
   */
  public GraphWriter(String prefix) {
    this.shared = new Shared(prefix);
  }

  /**
   * Starts a body of one of another writer's nodes; the body's constants are the other's.
   *
   * @param outer the other writer
   */
  protected GraphWriter(GraphWriter outer) {
    this.shared = outer.shared;
    this.scope = outer.scope;
  }

  /**
   * Says which layer the nodes that follow belong to.
   *
   * @param path the path of its name
   */
  public final void scope(String path) {
    scope = path;
  }

  /**
   * Returns which layer nodes belong to.
   *
   * @return the path of its name
   */
  public final String scope() {
    return scope;
  }

  /**
   * Makes a name that no other value has.
   *
   * @param what what the value is
   * @return the name
   */
  public final String fresh(String what) {
    return shared.prefix + what + "_" + shared.count++;
  }

  /**
   * Gives a number as a constant.
   *
   * @param type its type
   * @param value the number
   * @return the scalar
   */
  public final Sym constant(ElementType type, double value) {
    return shared.scalars.computeIfAbsent(
        List.of(type, value), key -> constant(Nd4j.scalar(type.dataType(), value)));
  }

  /**
   * Gives an array as a constant.
   *
   * @param array the array, not to be changed any more
   * @return the constant
   */
  public final Sym constant(INDArray array) {
    Sym constant = new Sym(fresh("constant"), ElementType.of(array.dataType()), array.shape());
    shared.constants.put(constant.name(), array);
    return constant;
  }

  /**
   * Writes a node with one output.
   *
   * @param op the op
   * @param inputs what it reads; null for an absent optional value
   * @param attrs its attributes
   * @param type the output's type
   * @param shape the output's shape
   * @return the output
   */
  public final Sym node(String op, List<Sym> inputs, ObjectNode attrs, ElementType type, long... shape) {
    Sym output = new Sym(fresh(op), type, shape);
    add(op, inputs, attrs, List.of(output), List.of());
    return output;
  }

  /**
   * Writes a node.
   *
   * @param op the op
   * @param inputs what it reads; null for an absent optional value
   * @param attrs its attributes
   * @param outputs what it gives; {@link #fresh} makes their names
   * @param bodies the graphs it runs; what they read of this graph is added to the inputs
   */
  public final void add(String op, List<Sym> inputs, ObjectNode attrs, List<Sym> outputs, List<GraphBody> bodies) {
    List<String> names = inputs.stream().map(input -> input == null ? null : input.name()).collect(Collectors.toCollection(ArrayList::new));
    Set<String> captured = new LinkedHashSet<>();
    bodies.forEach(body -> captured.addAll(body.captured()));
    captured.removeAll(names);
    names.addAll(captured);
    String name = outputs.get(0).name();
    nodes.add(
        new GraphNode(
            name,
            op,
            scope,
            names,
            new Attributes(attrs, "node '" + name + "' (op " + op + ", layer '" + scope + "')"),
            outputs.stream().map(Sym::info).collect(Collectors.toList()),
            bodies));
  }

  /**
   * Adds a node that is there already, such as one of a model.
   *
   * @param node the node, with no open sizes
   */
  public final void add(GraphNode node) {
    nodes.add(node);
  }

  /**
   * Puts another node in a node's place, which gives the same values and perhaps more.
   *
   * @param old the node
   * @param by the other
   */
  public final void replace(GraphNode old, GraphNode by) {
    nodes.set(nodes.indexOf(old), by);
  }

  /**
   * Returns the nodes written so far.
   *
   * @return the nodes, in the order they run
   */
  public final List<GraphNode> nodes() {
    return Collections.unmodifiableList(nodes);
  }

  /**
   * Returns the constants of this graph and its bodies.
   *
   * @return the arrays by name
   */
  public final Map<String, INDArray> constants() {
    return Collections.unmodifiableMap(shared.constants);
  }

  /**
   * Ends a body.
   *
   * @param name its name, which no other body has
   * @param inputs what its node binds before each run
   * @param outputs what it gives
   * @return the body
   */
  public final GraphBody body(String name, List<Sym> inputs, List<Sym> outputs) {
    List<ValueInfo> bound = inputs.stream().map(Sym::info).collect(Collectors.toList());
    return new GraphBody(name, bound, nodes, outputs.stream().map(Sym::name).collect(Collectors.toList()));
  }

  /**
   * Ends the graph.
   *
   * @param name the graph's name
   * @param inputs what is given at each run
   * @param variables other values that nodes read, which have their content from elsewhere
   * @param outputs what it gives
   * @return the graph, checked; its constants are {@link #constants}
   */
  public final ModelGraph graph(String name, List<Sym> inputs, List<Sym> variables, List<Sym> outputs) {
    ObjectNode none = attrs();
    ModelGraph.Builder graph = new ModelGraph.Builder(name, none);
    inputs.forEach(input -> graph.input(new GraphInput(input.info(), false)));
    variables.forEach(variable -> graph.weight(new ArrayEntry(variable.info(), null, null, none)));
    shared.constants.forEach(
        (constant, array) ->
            graph.constant(new ArrayEntry(new Sym(constant, ElementType.of(array.dataType()), array.shape()).info(), null, null, none)));
    nodes.forEach(graph::node);
    outputs.forEach(output -> graph.output(new GraphOutput(output.info(), output.name())));
    return graph.build();
  }

  /**
   * Starts the attributes of a node.
   *
   * @return an empty object
   */
  public static ObjectNode attrs() {
    return JsonNodeFactory.instance.objectNode();
  }

  /**
   * Starts the attributes of a node with a list of integers.
   *
   * @param name the attribute
   * @param values its value
   * @return the object
   */
  public static ObjectNode attrs(String name, long... values) {
    return put(attrs(), name, values);
  }

  /**
   * Sets a list of integers.
   *
   * @param attrs the attributes
   * @param name the attribute
   * @param values its value
   * @return the attributes
   */
  public static ObjectNode put(ObjectNode attrs, String name, long... values) {
    attrs.putArray(name);
    Arrays.stream(values).forEach(attrs.withArray(name)::add);
    return attrs;
  }
}
