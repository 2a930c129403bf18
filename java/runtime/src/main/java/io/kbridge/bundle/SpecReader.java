package io.kbridge.bundle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.GraphOutput;
import io.kbridge.graph.LayerOutput;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/** Reads the spec document into a {@link ModelGraph}; refuses whatever breaks a rule of docs/bundle-format.md. */
final class SpecReader {
  private static final String SPEC = "spec";
  private static final String GRAPHS = SPEC + ".graphs";
  private static final String MAIN = "inference";
  private static final int DEEPEST = 64;

  private final ObjectNode spec;
  private final ModelGraph.Builder graph;
  private final Set<String> met = new HashSet<>(Set.of(MAIN));
  private int depth;

  private SpecReader(ObjectNode spec) {
    this.spec = spec;
    this.graph = new ModelGraph.Builder(Json.text(spec, "name", SPEC), spec);
  }

  static ModelGraph read(ObjectNode spec) {
    SpecReader reader = new SpecReader(spec);
    try {
      reader.readAll();
    } catch (IllegalArgumentException e) {
      throw Json.wrong(SPEC, "a consistent graph", e.getMessage());
    }
    return reader.graph.build();
  }

  private void readAll() {
    for (String structure : List.of("input_structure", "output_structure")) {
      if (!spec.hasNonNull(structure)) {
        throw Json.wrong(SPEC + "." + structure, "a nesting of indices", "nothing");
      }
    }
    Json.array(spec, "layers", SPEC);
    each("inputs", this::readInput);
    eachEntry("weights", graph::weight);
    eachEntry("constants", graph::constant);
    ObjectNode inference = Json.object(Json.object(spec, "graphs", SPEC), MAIN, GRAPHS);
    readNodes(inference, GRAPHS + "." + MAIN).forEach(graph::node);
    each("outputs", this::readOutput);
    each("layer_outputs", this::readLayerOutput);
    requireSameOutputs(inference);
  }

  private void requireSameOutputs(ObjectNode inference) {
    List<String> listed = Json.texts(inference, "outputs", SPEC + ".graphs.inference");
    List<String> declared = new ArrayList<>();
    spec.get("outputs").forEach(output -> declared.add(output.get("value").textValue()));
    if (!listed.equals(declared)) {
      throw Json.wrong(SPEC + ".graphs.inference.outputs", "the values of spec.outputs, " + declared, listed.toString());
    }
  }

  private void each(String key, Consumer<Located> reader) {
    int count = 0;
    for (JsonNode node : Json.array(spec, key, SPEC)) {
      String where = SPEC + "." + key + "[" + count++ + "]";
      reader.accept(new Located(Json.object(node, where), where));
    }
  }

  private void eachEntry(String key, Consumer<ArrayEntry> reader) {
    for (Map.Entry<String, JsonNode> entry : Json.object(spec, key, SPEC).properties()) {
      String where = SPEC + "." + key + "['" + entry.getKey() + "']";
      reader.accept(readEntry(entry.getKey(), Json.object(entry.getValue(), where), where));
    }
  }

  private void readInput(Located at) {
    graph.input(new GraphInput(value(at.json, at.where, true), Json.truth(at.json, "optional", false, at.where)));
  }

  private void readOutput(Located at) {
    GraphOutput output = new GraphOutput(value(at.json, at.where, true), Json.text(at.json, "value", at.where));
    graph.output(output);
  }

  private void readLayerOutput(Located at) {
    JsonNode call = at.json.get("call");
    if (call == null || !call.canConvertToInt() || !call.isIntegralNumber() || call.intValue() < 0) {
      throw Json.wrong(at.where + ".call", "a count from 0", Json.brief(call));
    }
    graph.layerOutput(
        new LayerOutput(
            Json.text(at.json, "scope", at.where),
            call.intValue(),
            Json.text(at.json, "class_name", at.where),
            Json.texts(at.json, "values", at.where)));
  }

  private static ArrayEntry readEntry(String name, ObjectNode json, String where) {
    if (!json.has("path") && json.has("value")) {
      long[] shape = json.has("shape") ? Json.shape(json, "shape", false, where) : new long[0];
      if (shape.length != 0) {
        throw Json.wrong(where + ".shape", "the shape [] of a scalar", Arrays.toString(shape));
      }
      return new ArrayEntry(new ValueInfo(name, shape, type(json, where)), null, null, json);
    }
    String sha256 = Json.text(json, "sha256", where);
    if (!sha256.matches("[0-9a-f]{64}")) {
      throw Json.wrong(where + ".sha256", "a SHA-256 digest, 64 hex digits", sha256);
    }
    ValueInfo value = new ValueInfo(name, Json.shape(json, "shape", false, where), type(json, where));
    return new ArrayEntry(value, Json.text(json, "path", where), sha256, json);
  }

  private List<GraphNode> readNodes(ObjectNode json, String where) {
    List<GraphNode> nodes = new ArrayList<>();
    int count = 0;
    for (JsonNode node : Json.array(json, "nodes", where)) {
      nodes.add(readNode(node, where + ".nodes[" + count++ + "]"));
    }
    return nodes;
  }

  /** Reads the graphs that attributes name: {@code body}, or the list {@code bodies}. */
  private List<GraphBody> readBodies(ObjectNode attrs, String where) {
    List<GraphBody> bodies = new ArrayList<>();
    if (attrs.has("body")) {
      bodies.add(readBody(Json.text(attrs, "body", where), where));
    } else if (attrs.has("bodies")) {
      Json.texts(attrs, "bodies", where).forEach(name -> bodies.add(readBody(name, where)));
    }
    return bodies;
  }

  private GraphBody readBody(String name, String where) {
    // NB: so no graph runs itself, and a small file cannot ask for a large graph.
    if (!met.add(name)) {
      throw Json.wrong(where, "a graph that no other node runs", "'" + name + "' a second time");
    }
    if (++depth > DEEPEST) {
      throw Json.wrong(where, "at most " + DEEPEST + " graphs inside each other", "one more, '" + name + "'");
    }
    ObjectNode json = Json.object(Json.object(spec, "graphs", SPEC), name, GRAPHS);
    String at = GRAPHS + "['" + name + "']";
    List<ValueInfo> inputs = new ArrayList<>();
    for (JsonNode input : Json.array(json, "inputs", at)) {
      inputs.add(value(Json.object(input, at + ".inputs"), at + ".inputs", true));
    }
    GraphBody body = new GraphBody(name, inputs, readNodes(json, at), Json.texts(json, "outputs", at));
    depth--;
    return body;
  }

  private GraphNode readNode(JsonNode node, String where) {
    ObjectNode json = Json.object(node, where);
    String name = Json.text(json, "name", where);
    String op = Json.text(json, "op", where);
    List<String> inputs = new ArrayList<>();
    for (JsonNode input : Json.array(json, "inputs", where)) {
      inputs.add(input.isNull() ? null : Json.text(input, where + ".inputs"));
    }
    List<ValueInfo> outputs = new ArrayList<>();
    for (JsonNode output : Json.array(json, "outputs", where)) {
      outputs.add(value(Json.object(output, where + ".outputs"), where + ".outputs", true));
    }
    if (outputs.isEmpty()) {
      throw Json.wrong(where + ".outputs", "at least one output", "none");
    }
    ObjectNode attrs = Json.object(json, "attrs", where);
    return new GraphNode(
        name,
        op,
        Json.text(json, "scope", where),
        inputs,
        new Attributes(attrs, "node '" + name + "' (op " + op + ")"),
        outputs,
        readBodies(attrs, where + ".attrs"));
  }

  private static ValueInfo value(ObjectNode json, String where, boolean open) {
    return new ValueInfo(Json.text(json, "name", where), Json.shape(json, "shape", open, where), type(json, where));
  }

  private static ElementType type(ObjectNode json, String where) {
    String name = Json.text(json, "dtype", where);
    ElementType type = ElementType.ofName(name);
    if (type == null) {
      throw Json.wrong(where + ".dtype", "one of " + ElementType.names(), "'" + name + "'");
    }
    return type;
  }

  /** A JSON object and where in the spec it is, for messages. */
  private static final class Located {
    private final ObjectNode json;
    private final String where;

    Located(ObjectNode json, String where) {
      this.json = json;
      this.where = where;
    }
  }
}
