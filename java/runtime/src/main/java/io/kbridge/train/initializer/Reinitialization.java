package io.kbridge.train.initializer;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.bundle.Bundle;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.ModelGraph;
import io.kbridge.plan.NativeArrays;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.nd4j.linalg.api.ndarray.INDArray;

/** New weights for a model, as if Keras had just built it. */
public final class Reinitialization {
  private Reinitialization() {}

  /**
   * Gives weights new values. What a layer has learned by {@code adapt()} stays.
   *
   * @param graph the model's graph
   * @param seed decides the values
   * @param weights the weights by name, in writable memory
   * @throws KBridgeException UNSUPPORTED_OP, naming all weights whose initializers are not known; nothing is changed then
   */
  public static void apply(ModelGraph graph, long seed, Map<String, INDArray> weights) {
    Set<String> adapted = adapted(graph);
    Map<String, Initializer> initializers = new LinkedHashMap<>();
    List<String> refused = new ArrayList<>();
    for (Map.Entry<String, ArrayEntry> weight : graph.weights().entrySet()) {
      ObjectNode json = weight.getValue().json();
      if (!adapted.contains(json.path("layer").asText())) {
        try {
          initializers.put(weight.getKey(), Initializers.of(json.get("initializer")));
        } catch (KBridgeException e) {
          refused.add("'" + weight.getKey() + "': " + e.getMessage());
        }
      }
    }
    if (!refused.isEmpty()) {
      throw new KBridgeException(ErrorCode.UNSUPPORTED_OP, String.join("\n", refused));
    }
    initializers.forEach(
        (name, initializer) -> fill(weights.get(name), initializer.values(weights.get(name).shape(), new Draws(seed, name))));
  }

  /**
   * Makes the content of a model anew.
   *
   * @param bundle the model's bundle
   * @param seed decides the values
   * @return all weights and constants by name; weights are writable and have memory of their own
   * @throws KBridgeException UNSUPPORTED_OP, naming all weights whose initializers are not known
   */
  public static Map<String, INDArray> of(Bundle bundle, long seed) {
    Map<String, INDArray> arrays = new LinkedHashMap<>(bundle.arrays());
    bundle.graph().weights().keySet().forEach(
        name -> arrays.computeIfPresent(name, (key, array) -> array.isEmpty() ? array : NativeArrays.copy(array)));
    apply(bundle.graph(), seed, arrays);
    return arrays;
  }

  /** Finds the layers whose weights are no parameters but what they have seen of data. */
  private static Set<String> adapted(ModelGraph graph) {
    Set<String> adapted = new HashSet<>();
    try {
      for (JsonNode layer : new ObjectMapper().readTree(graph.json("layers"))) {
        if (layer.path("class_name").asText().equals("Normalization")) {
          adapted.add(layer.path("path").asText());
        }
      }
    } catch (JsonProcessingException e) {
      throw new KBridgeException(ErrorCode.INTERNAL, "Expected the layers as JSON. Received: " + e + ".", e);
    }
    return adapted;
  }

  private static void fill(INDArray array, double[] values) {
    for (int i = 0; i < values.length; i++) {
      array.data().put(array.offset() + i, values[i]);
    }
  }
}
