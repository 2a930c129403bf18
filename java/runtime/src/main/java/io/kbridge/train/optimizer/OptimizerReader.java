package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.bundle.Bundle;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.ElementType;
import io.kbridge.plan.NativeArrays;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Makes optimizers of what a bundle says. */
final class OptimizerReader {
  private final Bundle bundle;
  private final Map<String, INDArray> weights;
  private final OptimizerRegistry registry = OptimizerRegistry.load();

  private OptimizerReader(Bundle bundle, Map<String, INDArray> weights) {
    this.bundle = bundle;
    this.weights = weights;
  }

  static Optimizer read(Bundle bundle, Map<String, INDArray> weights) {
    JsonNode described = bundle.training().get("optimizer");
    if (!(described instanceof ObjectNode)) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected a bundle of a model that was compiled with an optimizer. Received: '" + bundle.file()
              + "' without one. Compile the model in Keras and export it again.");
    }
    ObjectNode json = (ObjectNode) described;
    OptimizerReader reader = new OptimizerReader(bundle, weights);
    return reader.read(json, json.get("built").asBoolean() ? null : reader.trainable());
  }

  /** Reads one; {@code names} are the weights of one that was never used, null if it was. */
  private Optimizer read(ObjectNode json, List<String> names) {
    String className = json.get("class_name").asText();
    switch (registry.knows(className) ? "" : className) {
      case "LossScaleOptimizer":
        return new LossScaleOptimizer(json, stored(json), read((ObjectNode) json.at("/inner/inner_optimizer"), names));
      case "MultiOptimizer":
        return multi(json, names);
      default:
        return single(json, className, names);
    }
  }

  private Optimizer single(ObjectNode json, String className, List<String> names) {
    Config config = new Config(json.get("config"), className);
    UpdateRule rule = registry.rule(className, config);
    JsonNode rate = config.json("learning_rate");
    Schedule schedule = rate != null && rate.isNumber() ? null : registry.schedule(rate);
    Common common = new Common(config);
    config.requireAllRead();
    List<TrainedWeight> trained = new ArrayList<>();
    (names == null ? texts(json.get("weights")) : names).forEach(name -> trained.add(weight(name)));
    List<OptimizerVariable> variables = stored(json);
    if (names != null) {
      variables.addAll(new StartingState(config.json("name").asText(), rule, common).variables(trained));
      Descriptions.place(variables);
    }
    return new RuleOptimizer(json, rule, common, schedule, trained, variables);
  }

  private Optimizer multi(ObjectNode json, List<String> names) {
    List<Optimizer> inner = new ArrayList<>();
    List<List<String>> shares = names == null ? null : new OptimizerMap(json).shares(names, this::path);
    int i = 0;
    for (Iterator<JsonNode> all = json.get("inner").elements(); all.hasNext(); i++) {
      ObjectNode one = (ObjectNode) all.next();
      boolean unused = names == null ? !one.get("built").asBoolean() : shares.get(i).isEmpty();
      inner.add(unused ? new Idle(one, stored(one)) : read(one, names == null ? null : shares.get(i)));
    }
    return new MultiOptimizer(json, stored(json), inner);
  }

  /** The weights of a model whose optimizer Keras has not built yet. */
  private List<String> trainable() {
    List<String> names = new ArrayList<>();
    bundle.graph().weights().forEach(
        (name, entry) -> {
          if (entry.json().path("trainable").asBoolean()) {
            names.add(name);
          }
        });
    return names;
  }

  private TrainedWeight weight(String name) {
    ArrayEntry entry = bundle.graph().weights().get(name);
    INDArray array = weights.get(name);
    if (entry == null || array == null) {
      throw new KBridgeException(
          ErrorCode.BUNDLE_FORMAT,
          "Expected the optimizer's weight '" + name + "' among the model's. Received: " + weights.keySet() + ". Export the model again.");
    }
    if (entry.value().type() != ElementType.FLOAT32 || array.isEmpty()) {
      throw new KBridgeException(
          ErrorCode.UNSUPPORTED_OP,
          "Expected trainable weights of type float32. Received: '" + name + "', " + entry.value()
              + ". Train with the dtype policy 'float32', 'mixed_float16' or 'mixed_bfloat16', which keep weights in float32.");
    }
    if (entry.json().path("overwrite_with_gradient").asBoolean()) {
      throw new KBridgeException(
          ErrorCode.UNSUPPORTED_OP,
          "Expected weights that an optimizer updates. Received: '" + name
              + "', which Keras overwrites with its gradient (float8). Train without float8 quantization.");
    }
    return new TrainedWeight(name, path(name), array);
  }

  /** Keras's path of a variable; bundles of older versions do not have it. */
  private String path(String name) {
    ArrayEntry entry = bundle.graph().weights().get(name);
    return entry == null ? name : entry.json().path("keras_path").asText(name);
  }

  private List<OptimizerVariable> stored(ObjectNode json) {
    List<OptimizerVariable> variables = new ArrayList<>();
    for (JsonNode entry : json.get("variables")) {
      ElementType type = ElementType.ofName(entry.get("dtype").asText());
      INDArray stored = bundle.array(entry.get("path").asText(), type);
      INDArray copy = stored.isEmpty() ? stored : NativeArrays.copy(stored);
      variables.add(new OptimizerVariable((ObjectNode) entry.deepCopy(), copy));
    }
    return variables;
  }

  static List<String> texts(JsonNode list) {
    List<String> texts = new ArrayList<>();
    list.forEach(text -> texts.add(text.asText()));
    return texts;
  }

  /** Finds the variables that belong to no weight. */
  static Map<String, OptimizerVariable> globals(List<OptimizerVariable> variables) {
    Map<String, OptimizerVariable> globals = new LinkedHashMap<>();
    variables.stream().filter(one -> one.weight() == null).forEach(one -> globals.put(one.slot(), one));
    return globals;
  }

  static OptimizerVariable require(OptimizerVariable variable, String slot, String owner) {
    if (variable == null) {
      throw new KBridgeException(
          ErrorCode.BUNDLE_FORMAT,
          "Expected the variable '" + slot + "' of the optimizer " + owner + ". Received: a bundle without it. Export the model again.");
    }
    return variable;
  }
}
