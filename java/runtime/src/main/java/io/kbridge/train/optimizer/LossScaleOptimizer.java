package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.ElementType;
import io.kbridge.plan.Finite;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Keras's {@code LossScaleOptimizer}: leaves steps out whose gradients overflowed, and looks for the largest scale that does not overflow. */
final class LossScaleOptimizer implements Optimizer {
  private static final String COUNTER = "step_counter";
  private static final String SCALE = "dynamic_scale";

  private final ObjectNode json;
  private final RuleOptimizer inner;
  private final List<OptimizerVariable> own;
  private final OptimizerVariable counter;
  private final OptimizerVariable scale;
  private final long growthSteps;

  LossScaleOptimizer(ObjectNode json, List<OptimizerVariable> own, Optimizer inner) {
    this.json = json;
    this.own = own;
    Config config = new Config(json.get("config"), json.get("class_name").asText());
    config.skip("name", "inner_optimizer");
    float initial = (float) config.number("initial_scale");
    this.growthSteps = (long) config.number("dynamic_growth_steps");
    config.requireAllRead();
    if (!(inner instanceof RuleOptimizer)) {
      throw config.wrong("an optimizer with one update rule as 'inner_optimizer'", json.at("/inner/inner_optimizer/class_name").asText());
    }
    this.inner = (RuleOptimizer) inner;
    if (!json.get("built").asBoolean()) {
      String name = json.at("/config/name").asText() + "/";
      own.add(StartingState.variable(name + COUNTER, COUNTER, null, ElementType.INT64, Nd4j.scalar(0L)));
      own.add(StartingState.variable(name + SCALE, SCALE, null, ElementType.FLOAT32, Nd4j.scalar(initial)));
    }
    Map<String, OptimizerVariable> globals = OptimizerReader.globals(own);
    this.counter = OptimizerReader.require(globals.get(COUNTER), COUNTER, "LossScaleOptimizer");
    this.scale = OptimizerReader.require(globals.get(SCALE), SCALE, "LossScaleOptimizer");
    if (!json.get("built").asBoolean()) {
      Descriptions.place(variables());
    }
  }

  @Override
  public float lossScale() {
    return scale.number();
  }

  @Override
  public Collection<String> trained() {
    return inner.trained();
  }

  @Override
  public boolean apply(Map<String, INDArray> gradients, Map<String, RowGradient> rows, Consumer<Set<String>> constraints) {
    Map<String, INDArray> mine = new HashMap<>(gradients);
    mine.keySet().retainAll(trained());
    boolean finite = mine.values().stream().allMatch(Finite::all);
    if (!finite) {
      counter.set(0L);
      scale.set(scale.number() * 0.5f);
      return false;
    }
    inner.apply(mine, rows, scale.number(), constraints);
    if (counter.count() == growthSteps - 1) {
      counter.set(0L);
      scale.set(scale.number() * 2);
    } else {
      counter.set(counter.count() + 1);
    }
    return true;
  }

  @Override
  public void finish() {
    inner.finish();
  }

  @Override
  public float learningRate() {
    return inner.learningRate();
  }

  @Override
  public void setLearningRate(float rate) {
    inner.setLearningRate(rate);
  }

  @Override
  public long iterations() {
    return inner.iterations();
  }

  @Override
  public List<OptimizerVariable> variables() {
    List<OptimizerVariable> all = new ArrayList<>(own);
    all.addAll(inner.variables());
    return all;
  }

  @Override
  public ObjectNode describe() {
    ObjectNode now = Descriptions.of(json, this);
    Descriptions.variables(now, own);
    ObjectNode wrapped = inner.describe();
    now.set("inner", JsonNodeFactory.instance.objectNode().set("inner_optimizer", wrapped));
    ((ObjectNode) now.at("/config/inner_optimizer")).set("config", wrapped.get("config").deepCopy());
    return now;
  }
}
