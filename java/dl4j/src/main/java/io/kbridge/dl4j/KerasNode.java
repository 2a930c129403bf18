package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;

/** One call of a Keras layer in the flattened model. Immutable. */
final class KerasNode {
  private final String name;
  private final String path;
  private final int call;
  private final String className;
  private final JsonNode config;
  private final List<String> inputs;

  KerasNode(String name, String path, int call, String className, JsonNode config, List<String> inputs) {
    this.path = path;
    this.call = call;
    this.name = name;
    this.className = className;
    this.config = config;
    this.inputs = List.copyOf(inputs);
  }

  /** The layer that this one wraps, with the same inputs and output. */
  KerasNode inner(JsonNode layer) {
    JsonNode inside = layer.path("config");
    return new KerasNode(name, path + "/" + inside.path("name").asText(), call, layer.path("class_name").asText(), inside, inputs);
  }

  /** The name of its dtype policy. */
  String dtype() {
    JsonNode dtype = config.path("dtype");
    return dtype.isTextual() ? dtype.asText() : dtype.path("config").path("name").asText("float32");
  }

  /** The name of the vertex: the layer's path, told from a model input of that name and from earlier calls. */
  String name() {
    return name;
  }

  String path() {
    return path;
  }

  int call() {
    return call;
  }

  String className() {
    return className;
  }

  JsonNode config() {
    return config;
  }

  List<String> inputs() {
    return inputs;
  }
}
