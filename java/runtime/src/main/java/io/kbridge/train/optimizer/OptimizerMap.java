package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.util.ArrayList;
import java.util.List;
import java.util.function.UnaryOperator;
import java.util.regex.Pattern;

/** Keras's {@code OptimizerMap}: which weights each optimizer of a {@code MultiOptimizer} takes. */
final class OptimizerMap {
  private final List<String> patterns = new ArrayList<>();
  private final int optimizers;

  OptimizerMap(ObjectNode json) {
    JsonNode described = json.at("/config/optimizer_map");
    optimizers = json.get("inner").size();
    described.at("/config/optimizer_map").fieldNames().forEachRemaining(patterns::add);
    // NB: an optimizer that stands in the map twice is one in Keras, and two in its config.
    if (!"OptimizerMap".equals(described.path("class_name").asText()) || optimizers != patterns.size() + 1) {
      throw new KBridgeException(
          ErrorCode.UNSUPPORTED_OP,
          "Expected a MultiOptimizer with an OptimizerMap of different optimizers, or one that is built. Received: " + optimizers
              + " optimizers for " + patterns + " and the default. Call optimizer.build(model.trainable_variables) before exporting.");
    }
  }

  /** Deals the weights out, in the order of the optimizers: those of the map, then the default. */
  List<List<String>> shares(List<String> names, UnaryOperator<String> path) {
    List<List<String>> shares = new ArrayList<>();
    for (int i = 0; i < optimizers; i++) {
      shares.add(new ArrayList<>());
    }
    for (String name : names) {
      shares.get(optimizer(path.apply(name))).add(name);
    }
    return shares;
  }

  private int optimizer(String path) {
    if (patterns.contains(path)) {
      return patterns.indexOf(path);
    }
    int found = patterns.size();
    for (int i = 0; i < patterns.size(); i++) {
      if (Pattern.matches(patterns.get(i), path)) {
        if (found < patterns.size()) {
          throw new KBridgeException(
              ErrorCode.INVALID_INPUT,
              "Expected one optimizer for '" + path + "'. Received: " + patterns.get(found) + " and " + patterns.get(i)
                  + ". Make the patterns of the OptimizerMap exclude each other.");
        }
        found = i;
      }
    }
    return found;
  }
}
