package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.bundle.Bundle;
import io.kbridge.graph.ElementType;
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

/** Lets training go on where Keras stopped: the steps done, and the updater's state from the optimizer's slots. */
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
    Map<String, Binding> bindings = new HashMap<>();
    plan.bindings().forEach(binding -> bindings.put(binding.vertex() + " " + binding.parameter(), binding));
    Map<String, JsonNode> slots = new HashMap<>();
    optimizer.path("variables").forEach(slot -> slots.put(slot.path("slot").asText() + " " + slot.path("weight").asText(), slot));
    List<String> names = SLOTS.getOrDefault(optimizer.path("class_name").asText(), List.of());
    double start = optimizer.path("config").path("initial_accumulator_value").asDouble(0);
    for (UpdaterBlock block : updater.getUpdaterBlocks()) {
      INDArray state = block.getUpdaterView();
      if (state == null) {
        continue;
      }
      long length = block.getParamOffsetEnd() - block.getParamOffsetStart();
      INDArray flat = state.reshape(state.length());
      flat.assign(start);
      for (int i = 0; i < names.size(); i++) {
        long at = i * length;
        for (UpdaterBlock.ParamState parameter : block.getLayersAndVariablesInBlock()) {
          long size = parameter.getParamView().length();
          Binding binding = bindings.get(parameter.getLayer().getConfig().getLayerName() + " " + parameter.getParamName());
          JsonNode slot = binding == null ? null : slots.get(names.get(i) + " " + binding.weight());
          if (slot != null) {
            // NB: the block sees its parameters flat, in the order in which each lies in memory.
            INDArray like = tables.get(binding.vertex()).get(binding.parameter());
            INDArray value = like.dup();
            binding.layout().toDl4j(bundle.array(slot.path("path").asText(), ElementType.FLOAT32), value);
            char order = like.ordering();
            flat.get(NDArrayIndex.interval(at, at + size)).assign(Nd4j.toFlattened(order, value).reshape(new long[] {size}));
          }
          at += size;
        }
      }
    }
  }
}
