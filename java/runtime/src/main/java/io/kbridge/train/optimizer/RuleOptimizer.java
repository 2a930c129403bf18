package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.plan.NativeArrays;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** An optimizer with one rule: what Keras's {@code BaseOptimizer} does around it. */
final class RuleOptimizer implements Optimizer {
  private final ObjectNode json;
  private final UpdateRule rule;
  private final Common common;
  private final Schedule schedule;
  private final List<TrainedWeight> weights;
  private final List<OptimizerVariable> variables;
  private final Map<String, OptimizerVariable> globals;
  private final OptimizerVariable iteration;
  private final Pass pass;

  RuleOptimizer(
      ObjectNode json,
      UpdateRule rule,
      Common common,
      Schedule schedule,
      List<TrainedWeight> weights,
      List<OptimizerVariable> variables) {
    this.json = json;
    this.rule = rule;
    this.common = common;
    this.schedule = schedule;
    this.weights = weights;
    this.variables = variables;
    this.globals = OptimizerReader.globals(variables);
    String owner = json.get("class_name").asText();
    this.iteration = OptimizerReader.require(globals.get("iteration"), "iteration", owner);
    if (schedule == null) {
      OptimizerReader.require(globals.get("learning_rate"), "learning_rate", owner);
    }
    rule.globals().forEach(slot -> OptimizerReader.require(globals.get(slot.name()), slot.name(), owner));
    connect(owner);
    this.pass = new Pass(weights, rule);
  }

  /** Gives each weight its variables and its decay. */
  private void connect(String owner) {
    Map<String, OptimizerVariable> slots = new HashMap<>();
    variables.stream().filter(one -> one.weight() != null).forEach(one -> slots.put(one.slot() + "/" + one.weight(), one));
    Set<String> excluded = new HashSet<>(OptimizerReader.texts(json.at("/exclude_from_weight_decay/weights")));
    for (TrainedWeight weight : weights) {
      for (List<Slot> group : rule.slots(weight)) {
        for (Slot slot : group) {
          OptimizerVariable variable = slot(slots, weight, slot, owner);
          if (slot.used()) {
            weight.slots().add(variable);
          }
        }
      }
      if (common.usesAverage) {
        weight.average(slot(slots, weight, Slot.zeros(StartingState.AVERAGE), owner));
      }
      if (common.accumulationSteps > 0) {
        weight.accumulator(slot(slots, weight, Slot.zeros(StartingState.ACCUMULATOR), owner));
      }
      weight.decay(excluded.contains(weight.name()) ? null : rule.weightDecay(weight, common.weightDecay));
    }
  }

  private static OptimizerVariable slot(Map<String, OptimizerVariable> slots, TrainedWeight weight, Slot slot, String owner) {
    String name = slot.name() + "/" + weight.name();
    OptimizerVariable variable = OptimizerReader.require(slots.get(name), name, owner);
    long[] expected = slot.shape(weight.shape());
    if (!Arrays.equals(expected, variable.array().shape()) || variable.array().dataType() != slot.type().dataType()) {
      throw new KBridgeException(
          ErrorCode.BUNDLE_FORMAT,
          "Expected the variable '" + name + "' of the optimizer " + owner + " to be " + slot.type().kerasName()
              + Arrays.toString(expected) + ". Received: " + variable.array().dataType() + Arrays.toString(variable.array().shape())
              + ". Export the model again.");
    }
    return variable;
  }

  @Override
  public float lossScale() {
    return common.lossScale == null ? 1 : (float) (double) common.lossScale;
  }

  @Override
  public Collection<String> trained() {
    return weights.stream().map(TrainedWeight::name).collect(Collectors.toList());
  }

  @Override
  public boolean apply(Map<String, INDArray> gradients, Map<String, RowGradient> rows, Consumer<Set<String>> constraints) {
    return apply(gradients, rows, lossScale(), constraints);
  }

  /** Does a step with gradients that are too large by a factor. */
  boolean apply(Map<String, INDArray> gradients, Map<String, RowGradient> rows, float scale, Consumer<Set<String>> constraints) {
    Set<String> given = check(gradients);
    check(rows, given);
    long steps = iteration.count();
    int accumulation = common.accumulationSteps;
    boolean updates = accumulation == 0 || (steps + 1) % accumulation == 0;
    StepState step = new StepState(learningRate(), iterations(), globals);
    if (updates) {
      rule.begin(step);
    }
    pass.run(gradients, rows, new Stages(common, rule, step, scale, updates));
    if (constraints != null) {
      constraints.accept(given);
    }
    iteration.set(steps + 1);
    return true;
  }

  Set<String> check(Map<String, INDArray> gradients) {
    Set<String> given = new LinkedHashSet<>();
    List<String> wrong = new ArrayList<>();
    for (TrainedWeight weight : weights) {
      INDArray gradient = gradients.get(weight.name());
      if (gradient == null) {
        continue;
      }
      given.add(weight.name());
      if (gradient.dataType() != DataType.FLOAT || !Arrays.equals(gradient.shape(), weight.shape()) || !NativeArrays.isDense(gradient)) {
        wrong.add(
            "'" + weight.name() + "' of shape " + Arrays.toString(weight.shape()) + ", received " + gradient.dataType()
                + Arrays.toString(gradient.shape()));
      }
    }
    if (given.isEmpty() || !wrong.isEmpty()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          given.isEmpty()
              ? "Expected a gradient for at least one of " + trained() + ". Received: " + gradients.keySet()
                  + ". The loss depends on no weight that is trained."
              : "Expected dense float32 gradients of the weights' shapes: " + String.join("; ", wrong) + ".");
    }
    return given;
  }

  private void check(Map<String, RowGradient> rows, Set<String> given) {
    for (TrainedWeight weight : weights) {
      RowGradient gradient = rows.get(weight.name());
      if (gradient == null) {
        continue;
      }
      long[] shape = weight.shape();
      long count = gradient.indices().length();
      boolean fits = given.contains(weight.name()) && shape.length > 0 && gradient.indices().rank() == 1;
      fits &= gradient.rows().dataType() == DataType.FLOAT && NativeArrays.isDense(gradient.rows());
      fits = fits && gradient.rows().length() == count * (weight.array().length() / shape[0]);
      for (long i = 0; fits && i < count; i++) {
        fits = gradient.indices().getLong(i) >= 0 && gradient.indices().getLong(i) < shape[0];
      }
      if (!fits) {
        throw new KBridgeException(
            ErrorCode.INVALID_INPUT,
            "Expected rows of '" + weight.name() + "' " + Arrays.toString(shape) + " with indices below " + (shape.length == 0 ? 0 : shape[0])
                + ", beside their sum. Received: rows " + Arrays.toString(gradient.rows().shape()) + " and indices "
                + gradient.indices() + ".");
      }
    }
  }

  @Override
  public void finish() {
    if (common.usesAverage) {
      weights.forEach(weight -> NativeArrays.copy(weight.average().array(), weight.array()));
    }
  }

  @Override
  public float learningRate() {
    return schedule == null ? globals.get("learning_rate").number() : schedule.at(iteration.count());
  }

  @Override
  public void setLearningRate(float rate) {
    if (schedule != null) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected an optimizer with a number as learning rate. Received: one with a schedule, which decides the rate itself."
              + " Compile with a number to change it.");
    }
    globals.get("learning_rate").set(rate);
  }

  @Override
  public long iterations() {
    long steps = iteration.count();
    return common.accumulationSteps == 0 ? steps : steps / common.accumulationSteps;
  }

  @Override
  public List<OptimizerVariable> variables() {
    return variables;
  }

  @Override
  public ObjectNode describe() {
    ObjectNode now = Descriptions.of(json, this);
    if (schedule == null) {
      ((ObjectNode) now.get("config")).put("learning_rate", (double) learningRate());
    }
    return now;
  }
}
