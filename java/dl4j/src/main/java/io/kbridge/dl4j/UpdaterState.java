package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.bundle.Bundle;
import io.kbridge.graph.ElementType;
import io.kbridge.train.optimizer.Optimizer;
import io.kbridge.train.optimizer.OptimizerVariable;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.deeplearning4j.nn.updater.BaseMultiLayerUpdater;
import org.deeplearning4j.nn.updater.UpdaterBlock;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.linalg.learning.config.IUpdater;

/** Lets training go on where Keras stopped, and Keras where DL4J stopped: the steps done, and the updater's state as the optimizer's slots. */
final class UpdaterState {
  // The slots of each optimizer, in the order in which DL4J's updater has them.
  private static final Map<String, List<String>> SLOTS =
      Map.of(
          "Adam", List.of("momentum", "velocity"),
          "AdamW", List.of("momentum", "velocity"),
          "Adagrad", List.of("accumulator"),
          "SGD", List.of("momentum"));

  private UpdaterState() {}

  static void restore(NetworkPlan plan, ComputationGraph network, Bundle bundle) {
    JsonNode optimizer = bundle.training().path("optimizer");
    if (plan.training().compiled()) {
      network.getConfiguration().setIterationCount(optimizer.path("iterations").asInt(0));
      setIterations(network.getLayers(), optimizer);
      restore(plan, network.getUpdater(true), Parameters.of(network), bundle);
    }
  }

  static void restore(NetworkPlan plan, MultiLayerNetwork network, Bundle bundle) {
    JsonNode optimizer = bundle.training().path("optimizer");
    if (plan.training().compiled()) {
      network.getLayerWiseConfigurations().setIterationCount(optimizer.path("iterations").asInt(0));
      setIterations(network.getLayers(), optimizer);
      restore(plan, (BaseMultiLayerUpdater<?>) network.getUpdater(true), Parameters.of(network), bundle);
    }
  }

  private static void setIterations(Layer[] layers, JsonNode optimizer) {
    for (Layer layer : layers) {
      layer.conf().setIterationCount(optimizer.path("iterations").asInt(0));
    }
  }

  private static void restore(
      NetworkPlan plan, BaseMultiLayerUpdater<?> updater, Map<String, Map<String, INDArray>> tables, Bundle bundle) {
    JsonNode optimizer = bundle.training().path("optimizer");
    Map<String, JsonNode> slots = new HashMap<>();
    optimizer.path("variables").forEach(slot -> slots.put(slot.path("slot").asText() + " " + slot.path("weight").asText(), slot));
    double start = optimizer.path("config").path("initial_accumulator_value").asDouble(0);
    for (Part part : parts(plan, updater, optimizer.path("class_name").asText())) {
      part.state.assign(start);
      JsonNode slot = part.binding == null ? null : slots.get(part.slot + " " + part.binding.weight());
      if (slot != null) {
        INDArray like = part.like(tables);
        INDArray value = like.dup();
        part.binding.layout().toDl4j(bundle.array(slot.path("path").asText(), ElementType.FLOAT32), value);
        part.state.assign(Nd4j.toFlattened(like.ordering(), value).reshape(part.state.shape()));
      }
    }
  }

  static Optimizer optimizer(NetworkPlan plan, ComputationGraph network, Bundle bundle, Map<String, INDArray> weights) {
    int done = network.getConfiguration().getIterationCount();
    return optimizer(plan, network.getUpdater(false), Parameters.of(network), bundle, weights, done);
  }

  static Optimizer optimizer(NetworkPlan plan, MultiLayerNetwork network, Bundle bundle, Map<String, INDArray> weights) {
    int done = network.getLayerWiseConfigurations().getIterationCount();
    return optimizer(plan, (BaseMultiLayerUpdater<?>) network.getUpdater(false), Parameters.of(network), bundle, weights, done);
  }

  /** Returns the bundle's optimizer as far as the network is, or null if the network has no updater of that kind. */
  private static Optimizer optimizer(
      NetworkPlan plan,
      BaseMultiLayerUpdater<?> updater,
      Map<String, Map<String, INDArray>> tables,
      Bundle bundle,
      Map<String, INDArray> weights,
      int done) {
    if (!plan.training().compiled() || updater == null || !sameKind(plan, updater)) {
      return null;
    }
    Optimizer optimizer = Optimizer.of(bundle, weights);
    Map<String, INDArray> variables = new HashMap<>();
    for (OptimizerVariable variable : optimizer.variables()) {
      variables.put(variable.slot() + " " + variable.weight(), variable.array());
    }
    for (Part part : parts(plan, updater, bundle.training().path("optimizer").path("class_name").asText())) {
      INDArray variable = part.binding == null ? null : variables.get(part.slot + " " + part.binding.weight());
      if (variable != null) {
        INDArray like = part.like(tables);
        INDArray value = part.state.dup().reshape(like.ordering(), like.shape());
        variable.assign(part.binding.layout().toKeras(value, variable.shape()));
      }
    }
    variables.get("iteration null").assign(done);
    if (variables.containsKey("learning_rate null")) {
      optimizer.setLearningRate((float) rate(plan, updater, done));
    }
    return optimizer;
  }

  /** Whether all that the optimizer trains has an updater of the kind that the bundle's optimizer becomes. */
  private static boolean sameKind(NetworkPlan plan, BaseMultiLayerUpdater<?> updater) {
    List<IUpdater> found = updaters(plan, updater);
    return !found.isEmpty() && found.stream().allMatch(one -> one.getClass() == plan.updater().getClass());
  }

  private static double rate(NetworkPlan plan, BaseMultiLayerUpdater<?> updater, int done) {
    return updaters(plan, updater).get(0).getLearningRate(done, 0);
  }

  /** The updaters of the parameters that are trainable weights. */
  private static List<IUpdater> updaters(NetworkPlan plan, BaseMultiLayerUpdater<?> updater) {
    List<IUpdater> found = new ArrayList<>();
    Map<String, Binding> bindings = bindings(plan);
    for (UpdaterBlock block : updater.getUpdaterBlocks()) {
      for (UpdaterBlock.ParamState parameter : block.getLayersAndVariablesInBlock()) {
        Binding binding = bindings.get(key(parameter));
        if (binding != null && binding.weight() != null && plan.weight(binding.weight()).json().path("trainable").asBoolean()) {
          found.add(parameter.getLayer().getConfig().getUpdaterByParam(parameter.getParamName()));
        }
      }
    }
    return found;
  }

  private static Map<String, Binding> bindings(NetworkPlan plan) {
    Map<String, Binding> bindings = new HashMap<>();
    plan.bindings().forEach(binding -> bindings.put(binding.vertex() + " " + binding.parameter(), binding));
    return bindings;
  }

  private static String key(UpdaterBlock.ParamState parameter) {
    return parameter.getLayer().getConfig().getLayerName() + " " + parameter.getParamName();
  }

  /** The parts of an updater's state. A block has its parameters one after the other, for one slot after the other. */
  private static List<Part> parts(NetworkPlan plan, BaseMultiLayerUpdater<?> updater, String className) {
    List<Part> parts = new ArrayList<>();
    Map<String, Binding> bindings = bindings(plan);
    List<String> names = SLOTS.getOrDefault(className, List.of());
    for (UpdaterBlock block : updater.getUpdaterBlocks()) {
      INDArray state = block.getUpdaterView();
      if (state == null) {
        continue;
      }
      INDArray flat = state.reshape(state.length());
      long at = 0;
      for (String name : names) {
        for (UpdaterBlock.ParamState parameter : block.getLayersAndVariablesInBlock()) {
          long size = parameter.getParamView().length();
          parts.add(new Part(bindings.get(key(parameter)), name, flat.get(NDArrayIndex.interval(at, at + size))));
          at += size;
        }
      }
    }
    return parts;
  }

  /** What one slot has of one parameter, flat, in the order in which the parameter lies in memory. */
  private static final class Part {
    private final Binding binding;
    private final String slot;
    private final INDArray state;

    Part(Binding binding, String slot, INDArray state) {
      this.binding = binding;
      this.slot = slot;
      this.state = state;
    }

    INDArray like(Map<String, Map<String, INDArray>> tables) {
      return tables.get(binding.vertex()).get(binding.parameter());
    }
  }
}
