package io.kbridge.train;

import io.kbridge.graph.ModelGraph;
import io.kbridge.plan.Engine;
import io.kbridge.plan.Plan;
import io.kbridge.plan.PlanCompiler;
import io.kbridge.plan.Threads;
import java.util.Collection;
import java.util.Map;
import java.util.function.Function;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A graph of variables alone, such as the result of a metric or a constraint, compiled when it is first run. Not thread safe. */
final class VariableGraph implements AutoCloseable {
  private final ModelGraph graph;
  private final Map<String, INDArray> constants;
  private final Collection<String> wanted;
  private final StepPlan.Parts parts;
  private PlanCompiler compiler;
  private Plan plan;

  VariableGraph(StepPlan.Parts parts, ModelGraph graph, Map<String, INDArray> constants, Collection<String> wanted) {
    this.parts = parts;
    this.graph = graph;
    this.constants = constants;
    this.wanted = wanted;
  }

  /** Computes the wanted values and lets them be read where they lie. */
  <T> T run(Function<Map<String, INDArray>, T> reader) {
    if (plan == null) {
      compiler = new PlanCompiler(graph, constants, parts.variables(), parts.registry(), Engine.NONE, Threads.usual());
      plan = compiler.compile(Map.of(), wanted);
    }
    return plan.run(Map.of(), reader);
  }

  @Override
  public void close() {
    if (plan != null) {
      plan.close();
      compiler.close();
    }
  }
}
