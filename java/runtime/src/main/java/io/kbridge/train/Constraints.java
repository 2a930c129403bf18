package io.kbridge.train;

import io.kbridge.bundle.Bundle;
import io.kbridge.graph.WeightConstraint;
import io.kbridge.plan.NativeArrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.nd4j.linalg.api.ndarray.INDArray;

/** What Keras's constraints make of weights that were updated. */
final class Constraints implements AutoCloseable {
  private final Map<WeightConstraint, VariableGraph> graphs = new LinkedHashMap<>();
  private final Map<String, INDArray> weights;

  Constraints(Bundle bundle, StepPlan.Parts parts, Map<String, INDArray> weights) {
    this.weights = weights;
    for (WeightConstraint constraint : bundle.steps().constraints()) {
      Map<String, INDArray> constants = bundle.constants(constraint.graph());
      graphs.put(constraint, new VariableGraph(parts, constraint.graph(), constants, List.of(constraint.value())));
    }
  }

  /** Applies those of some weights. */
  void apply(Set<String> updated) {
    graphs.forEach(
        (constraint, graph) -> {
          if (updated.contains(constraint.weight())) {
            graph.run(
                values -> {
                  NativeArrays.copy(values.get(constraint.value()), weights.get(constraint.weight()));
                  return null;
                });
          }
        });
  }

  @Override
  public void close() {
    graphs.values().forEach(VariableGraph::close);
  }
}
