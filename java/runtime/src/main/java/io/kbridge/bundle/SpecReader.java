package io.kbridge.bundle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphOutput;
import io.kbridge.graph.LayerOutput;
import io.kbridge.graph.ModelGraph;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;

/** Reads the spec document into a {@link ModelGraph}; refuses whatever breaks a rule of docs/bundle-format.md. */
final class SpecReader {
  private static final String SPEC = "spec";
  private static final String GRAPHS = SPEC + ".graphs";
  private static final String MAIN = "inference";

  private final ObjectNode spec;
  private final ModelGraph.Builder graph;
  private final GraphReader reader;

  private SpecReader(ObjectNode spec) {
    this.spec = spec;
    this.graph = new ModelGraph.Builder(Json.text(spec, "name", SPEC), spec);
    this.reader = new GraphReader(Json.object(spec, "graphs", SPEC), GRAPHS, Set.of(MAIN));
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
    eachEntry("weights", GraphReader::entry, graph::weight);
    eachEntry("constants", GraphReader::entry, graph::constant);
    // NB: bundles of schema 1.0 keep no states.
    if (spec.has("states")) {
      eachEntry("states", GraphReader::start, graph::state);
    }
    ObjectNode inference = Json.object(Json.object(spec, "graphs", SPEC), MAIN, GRAPHS);
    reader.nodes(inference, GRAPHS + "." + MAIN).forEach(graph::node);
    each("outputs", this::readOutput);
    each("layer_outputs", this::readLayerOutput);
    readUpdates(inference);
    requireSameOutputs(inference);
  }

  private void readUpdates(ObjectNode inference) {
    String where = GRAPHS + "." + MAIN;
    if (inference.has("updates")) {
      for (JsonNode update : Json.array(inference, "updates", where)) {
        graph.update(StepsReader.readUpdate(Json.object(update, where + ".updates"), where + ".updates"));
      }
    }
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

  private void eachEntry(String key, EntryReader form, Consumer<ArrayEntry> reader) {
    for (Map.Entry<String, JsonNode> entry : Json.object(spec, key, SPEC).properties()) {
      String where = SPEC + "." + key + "['" + entry.getKey() + "']";
      reader.accept(form.read(entry.getKey(), Json.object(entry.getValue(), where), where));
    }
  }

  private void readInput(Located at) {
    graph.input(new GraphInput(GraphReader.value(at.json, at.where, true), Json.truth(at.json, "optional", false, at.where)));
  }

  private void readOutput(Located at) {
    GraphOutput output = new GraphOutput(GraphReader.value(at.json, at.where, true), Json.text(at.json, "value", at.where));
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

  /** Reads an entry of one kind. */
  private interface EntryReader {
    ArrayEntry read(String name, ObjectNode json, String where);
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
