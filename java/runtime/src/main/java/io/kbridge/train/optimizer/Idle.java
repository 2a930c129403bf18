package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** An optimizer inside a {@code MultiOptimizer} that has no weight: it stays as it is. */
final class Idle implements Optimizer {
  private final ObjectNode json;
  private final List<OptimizerVariable> own;

  Idle(ObjectNode json, List<OptimizerVariable> own) {
    this.json = json;
    this.own = own;
  }

  @Override
  public float lossScale() {
    return 1;
  }

  @Override
  public Collection<String> trained() {
    return List.of();
  }

  @Override
  public boolean apply(Map<String, INDArray> gradients, Map<String, RowGradient> rows, Consumer<Set<String>> constraints) {
    return true;
  }

  @Override
  public void finish() {}

  @Override
  public float learningRate() {
    return (float) json.get("learning_rate").asDouble();
  }

  @Override
  public void setLearningRate(float rate) {
    OptimizerReader.globals(own).get("learning_rate").set(rate);
  }

  @Override
  public long iterations() {
    return 0;
  }

  @Override
  public List<OptimizerVariable> variables() {
    return own;
  }

  @Override
  public ObjectNode describe() {
    ObjectNode now = json.deepCopy();
    Descriptions.variables(now, own);
    return now;
  }
}
