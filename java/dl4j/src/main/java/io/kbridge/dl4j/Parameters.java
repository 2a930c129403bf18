package io.kbridge.dl4j;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.deeplearning4j.nn.api.Layer;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;

/** The parameters of a network, seen as the weights of a bundle. */
final class Parameters {
  private final NetworkPlan plan;
  private final Map<String, Map<String, INDArray>> tables;

  Parameters(NetworkPlan plan, Map<String, Map<String, INDArray>> tables) {
    this.plan = plan;
    this.tables = tables;
    List<String> missing = new ArrayList<>();
    for (Binding binding : plan.bindings()) {
      INDArray parameter = tables.getOrDefault(binding.vertex(), Map.of()).get(binding.parameter());
      long[] shape = binding.weight() == null ? null : plan.weight(binding.weight()).value().shape();
      if (parameter == null || (shape != null && parameter.length() != product(shape))) {
        missing.add("'" + binding.parameter() + "' of layer '" + binding.vertex() + "'" + (parameter == null ? "" : " with another shape"));
      }
    }
    if (!missing.isEmpty()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected a network with this bundle's layers. Received: one without " + String.join(", ", missing)
              + ". Give the network that was made of this bundle, with its layers as they were.");
    }
  }

  private static long product(long... shape) {
    long product = 1;
    for (long size : shape) {
      product *= size;
    }
    return product;
  }

  /** The views of a network's parameters, by vertex and parameter. */
  static Map<String, Map<String, INDArray>> of(ComputationGraph network) {
    Map<String, Map<String, INDArray>> tables = new LinkedHashMap<>();
    for (Layer layer : network.getLayers()) {
      tables.put(layer.conf().getLayer().getLayerName(), layer.paramTable());
    }
    return tables;
  }

  /** The views of a network's parameters, by layer and parameter. */
  static Map<String, Map<String, INDArray>> of(MultiLayerNetwork network) {
    Map<String, Map<String, INDArray>> tables = new LinkedHashMap<>();
    for (Layer layer : network.getLayers()) {
      tables.put(layer.conf().getLayer().getLayerName(), layer.paramTable());
    }
    return tables;
  }

  /** Puts weights into the network. */
  void set(Map<String, INDArray> weights) {
    for (Binding binding : plan.bindings()) {
      INDArray parameter = tables.get(binding.vertex()).get(binding.parameter());
      if (binding.weight() == null) {
        parameter.assign(binding.parameter().equals("gamma") ? 1 : 0);
      } else {
        binding.layout().toDl4j(weights.get(binding.weight()), parameter);
      }
    }
  }

  /** Returns the weights that the network has, by name. */
  Map<String, INDArray> get() {
    Map<String, INDArray> weights = new LinkedHashMap<>();
    Set<String> broken = new LinkedHashSet<>();
    for (Binding binding : plan.bindings()) {
      if (binding.weight() != null) {
        INDArray parameter = tables.get(binding.vertex()).get(binding.parameter());
        weights.put(binding.weight(), binding.layout().toKeras(parameter, plan.weight(binding.weight()).value().shape()));
        if (!Double.isFinite(parameter.sumNumber().doubleValue())) {
          broken.add(binding.weight());
        }
      }
    }
    if (!broken.isEmpty()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected a network of finite weights. Received: NaN or infinity in " + broken + ". Train with a lower learning rate, from the last good weights.");
    }
    return weights;
  }
}
