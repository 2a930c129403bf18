package io.kbridge.samediff;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.Dims;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.GraphOutput;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.NameScope;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Makes a SameDiff graph of a bundle's inference graph. */
public final class SameDiffBuilder {
  private static final String SCOPE = "graph";

  private final SameDiff sd = SameDiff.create();
  private final SameDiffRegistry registry;
  private final Map<String, Set<String>> refused = new TreeMap<>();
  private final Map<String, String> outputs = new LinkedHashMap<>();

  private SameDiffBuilder(SameDiffRegistry registry) {
    this.registry = registry;
  }

  /**
   * Makes a SameDiff graph. Its placeholders are the model's inputs, without the optional ones, and its outputs carry the model's output names; sizes
   * that are open in the model are open there too. Trainable weights are variables, everything else is constant; both keep their names.
   *
   * @param graph the graph
   * @param arrays its weights and constants; copied
   * @return what holds the SameDiff graph
   * @throws KBridgeException UNSUPPORTED_OP, naming every operation that has no exact form there
   */
  public static SameDiffBuilder of(ModelGraph graph, Map<String, INDArray> arrays) {
    SameDiffBuilder builder = new SameDiffBuilder(SameDiffRegistry.load());
    builder.add(graph, arrays);
    return builder;
  }

  /**
   * Returns the graph.
   *
   * @return the graph
   */
  public SameDiff graph() {
    return sd;
  }

  /**
   * Runs the graph, or what was loaded of it.
   *
   * @param graph the graph, or one that was saved and loaded
   * @param inputs the inputs by name
   * @return the outputs by the model's names
   */
  public Map<String, INDArray> outputs(SameDiff graph, Map<String, INDArray> inputs) {
    // NB: copies, because golden samples lie in memory that cannot be written to, and an operation of ND4J may be in place.
    Map<String, INDArray> given = new LinkedHashMap<>();
    inputs.forEach((name, array) -> given.put(name, array.dup('c')));
    Map<String, INDArray> found = graph.output(given, new ArrayList<>(outputs.values()));
    Map<String, INDArray> named = new LinkedHashMap<>();
    outputs.forEach((name, variable) -> named.put(name, found.get(variable)));
    return named;
  }

  private void add(ModelGraph graph, Map<String, INDArray> arrays) {
    Values values = new Values(null);
    Set<String> used = new LinkedHashSet<>();
    collect(graph.nodes(), used);
    graph.outputs().forEach(output -> used.add(output.value()));
    for (GraphInput input : graph.inputs()) {
      ValueInfo info = input.value();
      if (!input.optional()) {
        values.define(info, sd.placeHolder(info.name(), info.dtype(), info.shape()));
      }
    }
    graph.weights().values().stream().filter(e -> used.contains(e.value().name())).forEach(e -> addArray(values, e, arrays));
    graph.constants().values().stream().filter(e -> used.contains(e.value().name())).forEach(e -> addArray(values, e, arrays));
    Set<String> taken = new LinkedHashSet<>();
    sd.variables().forEach(variable -> taken.add(variable.name()));
    graph.states().values().forEach(state -> addState(values, state));
    // NB: in a scope, so that none of their variables has an output's name. One that is renamed for that is lost when the graph is saved.
    NameScope scope = sd.withNameScope(SCOPE);
    graph.nodes().forEach(node -> build(values, node));
    scope.close();
    requireAll();
    for (GraphOutput output : graph.outputs()) {
      String name = output.declared().name();
      String free = taken.contains(name) ? name + "/output" : name;
      // NB: an identity of its own, because an output may be an input, a weight, or another output.
      outputs.put(name, sd.identity(free, values.variable(output.value())).name());
    }
  }

  private static void collect(Iterable<GraphNode> nodes, Set<String> used) {
    for (GraphNode node : nodes) {
      used.addAll(node.inputs());
      used.addAll(node.shapeReferences());
      node.bodies().forEach(body -> {
        collect(body.nodes(), used);
        used.addAll(body.outputs());
      });
    }
  }

  private void addArray(Values values, ArrayEntry entry, Map<String, INDArray> arrays) {
    ValueInfo info = entry.value();
    INDArray array = arrays.get(info.name()).dup('c');
    boolean trained = entry.json().path("trainable").asBoolean(false) && info.dtype().isFPType();
    values.define(info, trained ? sd.var(info.name(), array) : sd.constant(info.name(), array));
  }

  private void addState(Values values, ArrayEntry state) {
    String layer = state.json().path("layer").asText();
    refused.computeIfAbsent("states that stay from call to call, which a SameDiff graph has not", key -> new LinkedHashSet<>()).add("'" + layer + "'");
    values.define(state.value(), sd.placeHolder("refused " + state.value().name(), state.value().dtype(), state.value().shape()));
  }

  private void build(Values values, GraphNode node) {
    SameDiffMapping mapping = registry.get(node.op());
    try {
      if (mapping == null) {
        throw new Refusal("SameDiff has no exact form of it");
      }
      mapping.build(new SameDiffNode(values, node));
    } catch (Refusal e) {
      refused.computeIfAbsent(node.op() + ": " + e.getMessage(), key -> new LinkedHashSet<>()).add("'" + node.scope() + "'");
      // So that what comes after it is looked at too.
      node.outputs().forEach(info -> values.define(info, sd.placeHolder("refused " + info.name() + " " + sd.variables().size(), info.dtype(), info.shape())));
    }
  }

  private void requireAll() {
    if (refused.isEmpty()) {
      return;
    }
    StringBuilder list = new StringBuilder();
    refused.forEach((what, scopes) -> list.append("\n  ").append(what).append(" (in ").append(String.join(", ", scopes)).append(')'));
    throw new KBridgeException(
        ErrorCode.UNSUPPORTED_OP,
        "Expected a graph of operations that SameDiff computes as Keras does. Received:" + list
            + "\nRun the model with predict(), which knows these operations, or give SameDiff the part of the model before them.");
  }

  /** The values seen at a place of the graph. */
  private final class Values implements SameDiffNode.Scope {
    private final Values around;
    private final Map<String, SDVariable> variables = new HashMap<>();
    private final Map<String, ValueInfo> infos = new HashMap<>();

    Values(Values around) {
      this.around = around;
    }

    @Override
    public SameDiff sd() {
      return sd;
    }

    @Override
    public boolean has(String name) {
      return variables.containsKey(name) || (around != null && around.has(name));
    }

    @Override
    public SDVariable variable(String name) {
      SDVariable own = variables.get(name);
      return own == null && around != null ? around.variable(name) : own;
    }

    @Override
    public ValueInfo info(String name) {
      ValueInfo own = infos.get(name);
      return own == null && around != null ? around.info(name) : own;
    }

    @Override
    public void define(ValueInfo info, SDVariable value) {
      infos.put(info.name(), info);
      variables.put(info.name(), value);
    }

    @Override
    public Object size(JsonNode json) {
      if (!Dims.is(json)) {
        return json.longValue();
      }
      Map<String, long[]> shapes = new LinkedHashMap<>();
      Dims.references(json).forEach(name -> shapes.put(name, info(name).shape()));
      boolean known = true;
      for (JsonNode pair : json.get("dims")) {
        known &= shapes.get(pair.get(0).textValue())[pair.get(1).intValue()] != ValueInfo.ANY;
      }
      return known ? Dims.resolve(json, shapes::get) : (Object) variableSize(json);
    }

    private SDVariable variableSize(JsonNode json) {
      SDVariable size = null;
      for (JsonNode pair : json.get("dims")) {
        SDVariable one = sd.sizeAt(variable(pair.get(0).textValue()), pair.get(1).intValue()).castTo(DataType.INT64);
        size = size == null ? one : size.mul(one);
      }
      long num = json.has("num") ? json.get("num").longValue() : 1;
      long den = json.has("den") ? json.get("den").longValue() : 1;
      long add = json.has("add") ? json.get("add").longValue() : 0;
      size = num == 1 ? size : size.mul(sd.constant(Nd4j.scalar(DataType.INT64, num)));
      if (den != 1) {
        if (num < 0 || den < 0) {
          throw new Refusal("a size that is a quotient of negative numbers: " + json);
        }
        size = size.div(sd.constant(Nd4j.scalar(DataType.INT64, den)));
      }
      return add == 0 ? size : size.add(sd.constant(Nd4j.scalar(DataType.INT64, add)));
    }

    @Override
    public SDVariable[] body(GraphNode owner, int index, Map<String, SDVariable> bound) {
      GraphBody body = owner.bodies().get(index);
      Values inside = new Values(this);
      body.inputs().forEach(info -> inside.define(info, bound.get(info.name())));
      body.nodes().forEach(node -> SameDiffBuilder.this.build(inside, node));
      return body.outputs().stream().map(inside::variable).toArray(SDVariable[]::new);
    }
  }
}
