package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/** Which layers a Keras model calls, in order, nested models flattened: read from the config that rebuilds the model. */
final class Topology {
  private final Problems problems;
  private final Set<String> outsideNames;
  private final List<KerasNode> nodes = new ArrayList<>();
  private final Map<String, Integer> calls = new HashMap<>();
  private List<String> outputs = new ArrayList<>();

  private Topology(Problems problems, Set<String> outsideNames) {
    this.problems = problems;
    this.outsideNames = outsideNames;
  }

  /**
   * Reads a model.
   *
   * @param model its serialised form
   * @param inputs names of the model's inputs, in order
   * @param problems takes what is in the way
   */
  static Topology read(JsonNode model, List<String> inputs, Problems problems) {
    Topology topology = new Topology(problems, Set.copyOf(inputs));
    if (!isModel(model)) {
      problems.add("the model", String.valueOf(model.path("class_name").asText("a model")), "only functional and sequential models list their layers");
      return topology;
    }
    topology.outputs = topology.model(model, "", inputs);
    return topology;
  }

  /** The layers in an order in which they can be called. */
  List<KerasNode> nodes() {
    return nodes;
  }

  /** The names of the nodes that give the model's outputs. */
  List<String> outputs() {
    return outputs;
  }

  private static boolean isModel(JsonNode model) {
    String name = model.path("class_name").asText();
    return (name.equals("Functional") || name.equals("Sequential") || name.equals("Model")) && model.path("config").path("layers").isArray();
  }

  /** Adds a model's layers; returns the names of what gives its outputs. */
  private List<String> model(JsonNode model, String prefix, List<String> inputs) {
    JsonNode config = model.get("config");
    return model.get("class_name").asText().equals("Sequential") ? sequential(config, prefix, inputs) : functional(config, prefix, inputs);
  }

  private List<String> sequential(JsonNode config, String prefix, List<String> inputs) {
    List<String> last = inputs;
    for (JsonNode layer : config.get("layers")) {
      last = call(layer, prefix, last);
    }
    return last;
  }

  private List<String> functional(JsonNode config, String prefix, List<String> inputs) {
    Map<String, List<List<String>>> given = new LinkedHashMap<>();
    List<JsonNode> places = new ArrayList<>();
    references(config.get("input_layers"), places);
    for (int i = 0; i < places.size(); i++) {
      given.put(places.get(i).get(0).asText(), List.of(List.of(inputs.get(Math.min(i, inputs.size() - 1)))));
    }
    List<JsonNode> waiting = new ArrayList<>();
    config.get("layers").forEach(waiting::add);
    Map<String, Integer> done = new HashMap<>();
    // NB: a shared layer's later calls may read layers that come after it in the list.
    for (boolean moved = true; moved; ) {
      moved = false;
      for (JsonNode layer : waiting) {
        String name = layer.path("name").asText(layer.get("config").path("name").asText());
        JsonNode inbound = layer.path("inbound_nodes");
        int next = done.getOrDefault(name, 0);
        if (next < inbound.size() && isReady(inbound.get(next), given)) {
          given.computeIfAbsent(name, key -> new ArrayList<>()).add(call(layer, prefix, arguments(layer, inbound.get(next), given, prefix)));
          done.put(name, next + 1);
          moved = true;
        }
      }
    }
    List<JsonNode> wanted = new ArrayList<>();
    references(config.get("output_layers"), wanted);
    List<String> results = new ArrayList<>();
    wanted.forEach(place -> results.add(found(place, given)));
    return results;
  }

  /** Collects places such as {@code ["dense", 0, 0]} out of any nesting. */
  private static void references(JsonNode json, List<JsonNode> into) {
    if (json.isArray() && json.size() == 3 && json.get(0).isTextual() && json.get(1).isIntegralNumber()) {
      into.add(json);
    } else if (json.isObject()) {
      // NB: Keras flattens dicts in the order of their keys.
      Set<String> keys = new TreeSet<>();
      json.fieldNames().forEachRemaining(keys::add);
      keys.forEach(key -> references(json.get(key), into));
    } else {
      json.forEach(child -> references(child, into));
    }
  }

  private static void tensors(JsonNode json, List<JsonNode> into) {
    if (json.path("class_name").asText().equals("__keras_tensor__")) {
      into.add(json.get("config").get("keras_history"));
    } else {
      json.forEach(child -> tensors(child, into));
    }
  }

  private static boolean isReady(JsonNode inbound, Map<String, List<List<String>>> given) {
    List<JsonNode> places = new ArrayList<>();
    tensors(inbound, places);
    return places.stream().allMatch(place -> given.getOrDefault(place.get(0).asText(), List.of()).size() > place.get(1).intValue());
  }

  private List<String> arguments(JsonNode layer, JsonNode inbound, Map<String, List<List<String>>> given, String prefix) {
    List<JsonNode> places = new ArrayList<>();
    tensors(inbound.path("args"), places);
    List<JsonNode> named = new ArrayList<>();
    tensors(inbound.path("kwargs"), named);
    if (!named.isEmpty()) {
      problems.add(prefix + layer.path("name").asText(), layer.get("class_name").asText(), "it is called with further tensors (a mask, or states)");
    }
    List<String> names = new ArrayList<>();
    places.forEach(place -> names.add(found(place, given)));
    return names;
  }

  private String found(JsonNode place, Map<String, List<List<String>>> given) {
    List<List<String>> all = given.getOrDefault(place.get(0).asText(), List.of());
    int call = place.get(1).intValue();
    int tensor = place.get(2).intValue();
    if (call >= all.size() || tensor >= all.get(call).size()) {
      problems.add(place.get(0).asText(), "a layer", "its output " + tensor + " is used, and DL4J's layers give one output");
      return place.get(0).asText();
    }
    return all.get(call).get(tensor);
  }

  private List<String> call(JsonNode layer, String prefix, List<String> inputs) {
    String className = layer.get("class_name").asText();
    JsonNode config = layer.get("config");
    String path = prefix + layer.path("name").asText(config.path("name").asText());
    if (className.equals("InputLayer")) {
      return inputs;
    }
    if (isModel(layer)) {
      if (calls.merge(path, 1, Integer::sum) > 1) {
        problems.add(path, className, "the model inside is called more than once");
      }
      return model(layer, path + "/", inputs);
    }
    int call = calls.merge(path, 1, Integer::sum) - 1;
    String name = (outsideNames.contains(path) ? path + "/layer" : path) + (call == 0 ? "" : "#" + call);
    KerasNode node = new KerasNode(name, path, call, className, config, inputs);
    nodes.add(node);
    return List.of(node.name());
  }
}
