package io.kbridge.train;

import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ModelGraph;
import io.kbridge.plan.Engine;
import io.kbridge.plan.Finite;
import io.kbridge.plan.Plan;
import io.kbridge.plan.PlanCache;
import io.kbridge.plan.PlanCompiler;
import io.kbridge.plan.Threads;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Finds where a loss that is no number comes from. */
final class FirstNaN {
  private FirstNaN() {}

  /**
   * Runs the forward pass once more and looks at every value.
   *
   * @param parts what steps are compiled from
   * @param graph the step's graph
   * @param constants the content of its constants
   * @param inputs the inputs that gave such a loss
   * @return a description of the first value with NaN or infinity
   */
  static String find(StepPlan.Parts parts, ModelGraph graph, Map<String, INDArray> constants, Map<String, INDArray> inputs) {
    for (Map.Entry<String, INDArray> input : inputs.entrySet()) {
      if (!Finite.all(input.getValue())) {
        return "input '" + input.getKey() + "' has NaN or infinity";
      }
    }
    for (Map.Entry<String, INDArray> variable : parts.variables().entrySet()) {
      if (graph.weights().containsKey(variable.getKey()) && !Finite.all(variable.getValue())) {
        return "weight '" + variable.getKey() + "' has NaN or infinity";
      }
    }
    List<String> wanted = new ArrayList<>();
    Map<String, GraphNode> makers = new LinkedHashMap<>();
    for (GraphNode node : graph.nodes()) {
      node.outputs().stream().filter(value -> value.dtype().isFPType()).forEach(value -> {
        wanted.add(value.name());
        makers.put(value.name(), node);
      });
    }
    try (PlanCompiler compiler =
            new PlanCompiler(graph, constants, parts.variables(), parts.registry(), Engine.NONE, Threads.usual());
        Plan plan = compiler.compile(PlanCache.shapes(inputs), wanted)) {
      return plan.run(inputs, values -> first(wanted, makers, values));
    }
  }

  private static String first(List<String> names, Map<String, GraphNode> makers, Map<String, INDArray> values) {
    for (String name : names) {
      if (!Finite.all(values.get(name))) {
        GraphNode node = makers.get(name);
        String where = node.scope().isEmpty() ? "the loss" : "layer '" + node.scope() + "'";
        return where + " is the first to give NaN or infinity (op " + node.op() + ")";
      }
    }
    return "no value of the forward pass is NaN or infinite by itself";
  }
}
