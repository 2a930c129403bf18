package io.kbridge.train;

import io.kbridge.graph.StepGraph;
import io.kbridge.plan.Engine;
import java.util.Arrays;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.ndarray.INDArray;

/** The plans of one step, one for each set of input shapes; the ones used last are kept. Not thread safe. */
final class StepPlans implements AutoCloseable {
  // NB: the usual batch, the last one of an epoch, and one to spare.
  private static final int KEPT = 3;

  private final StepPlan.Parts parts;
  private final StepGraph step;
  private final Map<String, INDArray> constants;
  private final Collection<String> trained;
  private final Supplier<Engine> engines;
  private final LinkedHashMap<Object, StepPlan> plans = new LinkedHashMap<>(8, 0.75f, true);

  StepPlans(
      StepPlan.Parts parts, StepGraph step, Map<String, INDArray> constants, Collection<String> trained, Supplier<Engine> engines) {
    this.parts = parts;
    this.step = step;
    this.constants = constants;
    this.trained = trained;
    this.engines = engines;
  }

  StepGraph step() {
    return step;
  }

  Map<String, INDArray> constants() {
    return constants;
  }

  /** Gives the plan for some inputs; compiles it if there is none. */
  StepPlan of(Map<String, INDArray> inputs) {
    List<String> shapes = inputs.values().stream().map(array -> Arrays.toString(array.shape())).collect(Collectors.toList());
    StepPlan plan = plans.get(shapes);
    if (plan == null) {
      while (plans.size() >= KEPT) {
        Iterator<StepPlan> oldest = plans.values().iterator();
        oldest.next().close();
        oldest.remove();
      }
      plan = new StepPlan(parts, step, constants, trained, inputs, engines.get());
      plans.put(shapes, plan);
    }
    return plan;
  }

  @Override
  public void close() {
    plans.values().forEach(StepPlan::close);
    plans.clear();
  }
}
