package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Keras's {@code MultiOptimizer}: several optimizers, each for some of the weights. */
final class MultiOptimizer implements Optimizer {
  private final ObjectNode json;
  private final List<OptimizerVariable> own;
  private final List<Optimizer> inner;
  private final OptimizerVariable iteration;
  private final float scale;

  MultiOptimizer(ObjectNode json, List<OptimizerVariable> own, List<Optimizer> inner) {
    this.json = json;
    this.own = own;
    this.inner = inner;
    Config config = new Config(json.get("config"), json.get("class_name").asText());
    config.skip("name", "optimizer_map");
    Double factor = config.optional("loss_scale_factor");
    config.requireAllRead();
    this.scale = factor == null ? 1 : (float) (double) factor;
    this.iteration = OptimizerReader.require(OptimizerReader.globals(own).get("iteration"), "iteration", "MultiOptimizer");
    if (!json.get("built").asBoolean()) {
      Descriptions.place(variables());
    }
  }

  @Override
  public float lossScale() {
    return scale;
  }

  @Override
  public Collection<String> trained() {
    List<String> all = new ArrayList<>();
    inner.forEach(one -> all.addAll(one.trained()));
    return all;
  }

  @Override
  public boolean apply(Map<String, INDArray> gradients, Map<String, RowGradient> rows, Consumer<Set<String>> constraints) {
    inner.stream().filter(RuleOptimizer.class::isInstance).forEach(one -> ((RuleOptimizer) one).check(gradients));
    inner.forEach(one -> one.apply(gradients, rows, constraints));
    iteration.set(iteration.count() + 1);
    return true;
  }

  @Override
  public void finish() {
    inner.forEach(Optimizer::finish);
  }

  @Override
  public float learningRate() {
    throw severalRates();
  }

  @Override
  public void setLearningRate(float rate) {
    throw severalRates();
  }

  private static KBridgeException severalRates() {
    return new KBridgeException(
        ErrorCode.INVALID_INPUT,
        "Expected an optimizer with one learning rate. Received: a MultiOptimizer, whose optimizers have one each. Do not ask for it.");
  }

  @Override
  public long iterations() {
    return iteration.count();
  }

  @Override
  public List<OptimizerVariable> variables() {
    List<OptimizerVariable> all = new ArrayList<>(own);
    inner.forEach(one -> all.addAll(one.variables()));
    return all;
  }

  @Override
  public ObjectNode describe() {
    ObjectNode now = Descriptions.of(json, this);
    Descriptions.variables(now, own);
    ObjectNode described = now.putObject("inner");
    for (int i = 0; i < inner.size(); i++) {
      described.set(Integer.toString(i), inner.get(i).describe());
    }
    return now;
  }
}
