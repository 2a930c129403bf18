package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.GraphOutput;
import io.kbridge.graph.LayerOutput;
import io.kbridge.graph.ModelGraph;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.conf.InputPreProcessor;
import org.deeplearning4j.nn.conf.graph.GraphVertex;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.learning.config.IUpdater;

/** The network that a bundle becomes: vertices in order, and which parameter is which weight. */
final class NetworkPlan {
  private final ModelGraph graph;
  private final Training training;
  private final Problems problems = new Problems();
  private final List<Vertex> vertices = new ArrayList<>();
  private final List<Binding> bindings = new ArrayList<>();
  private final Map<String, long[]> shapes = new HashMap<>();
  private final Map<String, String> given = new HashMap<>();
  private final List<String> outputs = new ArrayList<>();
  private IUpdater updater;
  private String dtype = "float32";

  /** One vertex. Of layer, vertex and preprocessor exactly one is there. Immutable. */
  static final class Vertex {
    private final String name;
    private final Layer layer;
    private final GraphVertex vertex;
    private final InputPreProcessor preprocessor;
    private final List<String> inputs;

    Vertex(String name, Layer layer, GraphVertex vertex, InputPreProcessor preprocessor, List<String> inputs) {
      this.name = name;
      this.layer = layer;
      this.vertex = vertex;
      this.preprocessor = preprocessor;
      this.inputs = List.copyOf(inputs);
    }

    String name() {
      return name;
    }

    Layer layer() {
      return layer;
    }

    GraphVertex vertex() {
      return vertex;
    }

    InputPreProcessor preprocessor() {
      return preprocessor;
    }

    List<String> inputs() {
      return inputs;
    }
  }

  private NetworkPlan(ModelGraph graph, JsonNode training) {
    this.graph = graph;
    this.training = new Training(training, problems);
  }

  /**
   * Makes a plan.
   *
   * @throws io.kbridge.KBridgeException UNSUPPORTED_OP, naming every layer in the way
   */
  static NetworkPlan of(ModelGraph graph, JsonNode training) {
    NetworkPlan plan = new NetworkPlan(graph, training);
    plan.make();
    plan.problems.orThrow();
    return plan;
  }

  private void make() {
    updater = training.updater();
    List<String> inputs = new ArrayList<>();
    graph.inputs().forEach(input -> {
      inputs.add(input.value().name());
      shapes.put(input.value().name(), input.value().shape());
    });
    Topology topology = Topology.read(graph.spec().path("keras_model"), inputs, problems);
    Map<String, Integer> heads = new LinkedHashMap<>();
    for (int i = 0; i < topology.outputs().size(); i++) {
      heads.put(topology.outputs().get(i), i);
    }
    if (topology.outputs().stream().anyMatch(inputs::contains)) {
      problems.add("the model", "Functional", "an input is one of its outputs");
    }
    if (heads.size() < topology.outputs().size()) {
      problems.add("the model", "Functional", "one layer gives two of its outputs");
    }
    for (int i = 0; training.compiled() && i < topology.outputs().size(); i++) {
      if (Losses.of(training, i) == null) {
        problems.add(topology.outputs().get(i), "an output", "it has no loss, and DL4J trains all outputs of a network or none");
      }
    }
    if (!topology.nodes().isEmpty() && topology.nodes().stream().allMatch(node -> node.dtype().equals("float64"))) {
      dtype = "float64";
      if (training.compiled()) {
        problems.add("the model", "float64", "only steps in float32 can be compared, and it is compiled: export it uncompiled for inference");
      }
    }
    for (KerasNode node : topology.nodes()) {
      shapes.put(node.name(), shape(node));
      translate(node, heads.getOrDefault(node.name(), -1), readers(topology, node));
    }
    topology.outputs().forEach(output -> outputs.add(vertex(output)));
  }

  private static long readers(Topology topology, KerasNode node) {
    return topology.nodes().stream().filter(other -> other.inputs().contains(node.name())).count();
  }

  private long[] shape(KerasNode node) {
    for (LayerOutput call : graph.layerOutputs()) {
      if (call.scope().equals(node.path()) && call.call() == node.call() && call.values().size() == 1) {
        return graph.values().get(call.values().get(0)).shape();
      }
    }
    return new long[0];
  }

  private void translate(KerasNode node, int output, long readers) {
    LayerContext context = new LayerContext(this, node, output, readers);
    try {
      LayerMapping mapping = Layers.of(node.className());
      if (mapping == null) {
        throw new Unsayable("DL4J has no such layer");
      }
      context.check();
      mapping.build(context);
      context.finish();
    } catch (Unsayable e) {
      problems.add(node.path(), node.className(), e.getMessage());
    }
  }

  /** Adds a vertex; what read the Keras layer reads it. */
  void add(KerasNode node, Vertex vertex) {
    vertices.add(vertex);
    given.put(node.name(), vertex.name());
  }

  void bind(Binding binding) {
    bindings.add(binding);
  }

  /** The name of what gives a Keras layer's output: its last vertex, or the model's input. */
  String vertex(String node) {
    return given.getOrDefault(node, node);
  }

  /** Lets a Keras layer that does nothing be what it reads. */
  void skip(KerasNode node) {
    given.put(node.name(), vertex(node.inputs().get(0)));
  }

  long[] shapeOf(String name) {
    return shapes.getOrDefault(name, new long[0]);
  }

  ArrayEntry weight(String name) {
    return graph.weights().get(name);
  }

  /** The weight of a layer, by its path and the end of its name; null if there is none. */
  String weightName(String path, String variable) {
    for (String name : graph.weights().keySet()) {
      if (name.startsWith(path + "/") && name.endsWith("/" + variable)) {
        return name;
      }
    }
    return null;
  }

  /** The dtype policy of all its layers. */
  String dtype() {
    return dtype;
  }

  DataType dataType() {
    return dtype.equals("float64") ? DataType.DOUBLE : DataType.FLOAT;
  }

  Training training() {
    return training;
  }

  IUpdater updater() {
    return updater;
  }

  ModelGraph graph() {
    return graph;
  }

  List<Vertex> vertices() {
    return Collections.unmodifiableList(vertices);
  }

  List<Binding> bindings() {
    return Collections.unmodifiableList(bindings);
  }

  /** The vertices that give the model's outputs, in order. */
  List<String> outputs() {
    return Collections.unmodifiableList(outputs);
  }

  /** The names of the model's outputs. */
  List<String> outputNames() {
    List<String> names = new ArrayList<>();
    for (GraphOutput output : graph.outputs()) {
      names.add(output.declared().name());
    }
    return names;
  }
}
