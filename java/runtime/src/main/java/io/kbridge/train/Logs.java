package io.kbridge.train;

import io.kbridge.bundle.Bundle;
import io.kbridge.graph.GraphOutput;
import io.kbridge.graph.ModelGraph;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Loss and metrics by Keras's names, worked out of the variables that metrics keep. */
final class Logs implements AutoCloseable {
  private final List<GraphOutput> outputs;
  private final VariableGraph graph;

  Logs(Bundle bundle, StepPlan.Parts parts) {
    ModelGraph logs = bundle.steps().logs();
    this.outputs = logs.outputs();
    List<String> results = outputs.stream().map(GraphOutput::value).collect(Collectors.toList());
    this.graph = new VariableGraph(parts, logs, bundle.constants(logs), results);
  }

  Map<String, Double> read() {
    return graph.run(
        values -> {
          Map<String, Double> found = new LinkedHashMap<>();
          outputs.forEach(output -> found.put(output.declared().name(), mean(values.get(output.value()))));
          return found;
        });
  }

  private static double mean(INDArray value) {
    return value.length() == 1 ? value.getDouble(0) : value.meanNumber().doubleValue();
  }

  @Override
  public void close() {
    graph.close();
  }
}
