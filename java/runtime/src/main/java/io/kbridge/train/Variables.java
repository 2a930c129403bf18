package io.kbridge.train;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.bundle.Bundle;
import io.kbridge.plan.NativeArrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** What a trainer changes beside the optimizer's state, by name: weights, states of layers, metrics, and what else a step keeps. */
final class Variables {
  private final Bundle bundle;
  private final Map<String, INDArray> all = new LinkedHashMap<>();
  private final Map<String, INDArray> weights = new LinkedHashMap<>();
  private final Map<String, INDArray> initialMetrics = new LinkedHashMap<>();

  /** Copies what the bundle has. */
  Variables(Bundle bundle) {
    this.bundle = bundle;
    for (String name : bundle.graph().weights().keySet()) {
      weights.put(name, NativeArrays.copy(bundle.arrays().get(name)));
    }
    all.putAll(weights);
    bundle.initialStates().forEach((name, array) -> all.put(name, NativeArrays.copy(array)));
    bundle.initialVariables().forEach((name, array) -> all.put(name, NativeArrays.copy(array)));
    bundle.steps().variables().forEach(
        (name, variable) -> {
          if (variable.isMetric()) {
            initialMetrics.put(name, NativeArrays.copy(all.get(name)));
          }
        });
  }

  /** Returns all of them: the arrays themselves. */
  Map<String, INDArray> all() {
    return all;
  }

  /** Returns the weights, with those that are not trained: the arrays themselves. */
  Map<String, INDArray> weights() {
    return weights;
  }

  /** Returns what a new bundle keeps beside the weights: states of layers, and variables that are no metrics. */
  Map<String, INDArray> kept() {
    Map<String, INDArray> kept = new LinkedHashMap<>();
    bundle.graph().states().keySet().forEach(name -> kept.put(name, all.get(name)));
    bundle.steps().variables().forEach(
        (name, variable) -> {
          if (!variable.isMetric()) {
            kept.put(name, all.get(name));
          }
        });
    return kept;
  }

  void resetStates() {
    bundle.graph().states().keySet().forEach(name -> all.get(name).assign(0));
  }

  void resetMetrics() {
    initialMetrics.forEach((name, array) -> NativeArrays.copy(array, all.get(name)));
  }

  /** Gives a variable other content, of its type and shape. */
  void assign(String name, INDArray content) {
    INDArray variable = all.get(name);
    if (variable == null || !variable.equalShapes(content) || variable.dataType() != content.dataType()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected content of type and shape of variable '" + name + "', " + (variable == null ? "one of " + all.keySet() : StepPlan.sym(name, variable))
              + ". Received: " + StepPlan.sym(name, content) + ".");
    }
    NativeArrays.copy(NativeArrays.isDense(content) ? content : content.dup('c'), variable);
  }
}
