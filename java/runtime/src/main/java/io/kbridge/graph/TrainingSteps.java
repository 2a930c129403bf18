package io.kbridge.graph;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

/** The steps of a compiled model: what training and evaluation compute, and what their metrics say. Immutable. */
public final class TrainingSteps {
  private final StepGraph training;
  private final StepGraph evaluation;
  private final ModelGraph logs;
  private final Map<String, StepVariable> variables;
  private final List<StepMetric> metrics;
  private final List<WeightConstraint> constraints;

  /**
   * Makes the steps.
   *
   * @param training a training step, without gradients and the optimizer
   * @param evaluation an evaluation step
   * @param logs what metrics say; its outputs have the names of Keras's logs
   * @param variables the variables beside the model's weights, by name
   * @param metrics the metrics
   * @param constraints the constraints of weights
   */
  public TrainingSteps(
      StepGraph training,
      StepGraph evaluation,
      ModelGraph logs,
      Map<String, StepVariable> variables,
      List<StepMetric> metrics,
      List<WeightConstraint> constraints) {
    this.training = Objects.requireNonNull(training, "training");
    this.evaluation = Objects.requireNonNull(evaluation, "evaluation");
    this.logs = Objects.requireNonNull(logs, "logs");
    this.variables = Collections.unmodifiableMap(new LinkedHashMap<>(variables));
    this.metrics = Collections.unmodifiableList(new ArrayList<>(metrics));
    this.constraints = Collections.unmodifiableList(new ArrayList<>(constraints));
  }

  /**
   * Returns a training step, without gradients and the optimizer.
   *
   * @return the step
   */
  public StepGraph training() {
    return training;
  }

  /**
   * Returns an evaluation step.
   *
   * @return the step
   */
  public StepGraph evaluation() {
    return evaluation;
  }

  /**
   * Returns what metrics say: a graph without inputs that reads step variables. Its outputs are named as Keras names them, in its order.
   *
   * @return the graph
   */
  public ModelGraph logs() {
    return logs;
  }

  /**
   * Returns the variables beside the model's weights.
   *
   * @return the variables by name
   */
  public Map<String, StepVariable> variables() {
    return variables;
  }

  /**
   * Returns the metrics, the loss first.
   *
   * @return the metrics, in Keras's order
   */
  public List<StepMetric> metrics() {
    return metrics;
  }

  /**
   * Returns the constraints.
   *
   * @return one for each weight that has one
   */
  public List<WeightConstraint> constraints() {
    return constraints;
  }
}
