package io.kbridge.train;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.LoadOptions;
import io.kbridge.bundle.Bundle;
import io.kbridge.graph.StepGraph;
import io.kbridge.graph.TrainingSteps;
import io.kbridge.plan.Engine;
import io.kbridge.plan.Finite;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.StepInfo;
import io.kbridge.plan.onednn.OneDnnEngine;
import io.kbridge.train.gradient.RuleRegistry;
import io.kbridge.train.initializer.Reinitialization;
import io.kbridge.train.optimizer.Checkpoints;
import io.kbridge.train.optimizer.Optimizer;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Supplier;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.api.iterator.DataSetIterator;
import org.nd4j.linalg.dataset.api.iterator.MultiDataSetIterator;

/**
 * Trains a model that was exported compiled, with Keras's numbers: its loss, regularizers, metrics, constraints and optimizer, from the state
 * in the bundle on. Nothing is written to the bundle; {@link #save} makes a new one. Thread safe: one call runs at a time.
 */
public final class Trainer implements AutoCloseable {
  private final Bundle bundle;
  private final int gpu;
  private final TrainingSteps steps;
  private final Variables variables;
  private final Optimizer optimizer;
  private final Checkpoints checkpoints;
  private final StepPlan.Parts parts;
  private final StepPlans training;
  private final StepPlans evaluation;
  private final Logs logs;
  private final Constraints constraints;
  private long stepsDone;
  private boolean stopped;
  private boolean closed;

  /**
   * Opens a bundle for training.
   *
   * @param file the bundle
   * @param engine {@code onednn} or {@code nd4j}; {@code auto} for the faster one
   * @return the trainer; the caller closes it
   * @throws KBridgeException NOT_TRAINABLE if the model was not compiled, or cannot be trained outside of Keras
   */
  public static Trainer open(Path file, String engine) {
    return open(file, LoadOptions.builder().engine(engine).build());
  }

  /**
   * Opens a bundle for training.
   *
   * @param file the bundle
   * @param options whose engine and device are used
   * @return the trainer; the caller closes it
   * @throws KBridgeException NOT_TRAINABLE if the model was not compiled, or cannot be trained outside of Keras
   */
  public static Trainer open(Path file, LoadOptions options) {
    if (!Set.of("auto", "onednn", "nd4j").contains(options.engine())) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected engine \"auto\", \"onednn\" or \"nd4j\". Received: \"" + options.engine() + "\". Choose one of them.");
    }
    NativeArrays.useGpu(options.gpu());
    boolean nd4j = options.engine().equals("nd4j") || !NativeArrays.inHostMemory();
    return new Trainer(Bundle.open(file, true), options.gpu(), nd4j ? () -> Engine.NONE : () -> new OneDnnEngine(() -> {}));
  }

  private Trainer(Bundle bundle, int gpu, Supplier<Engine> engines) {
    this.bundle = bundle;
    this.gpu = gpu;
    this.steps = bundle.steps();
    this.checkpoints = new Checkpoints(bundle);
    this.variables = new Variables(bundle);
    this.optimizer = Optimizer.of(bundle, variables.weights());
    this.parts = new StepPlan.Parts(variables.all(), OpRegistry.load(), RuleRegistry.load());
    this.training = new StepPlans(parts, steps.training(), bundle.constants(steps.training().graph()), optimizer.trained(), engines);
    this.evaluation = new StepPlans(parts, steps.evaluation(), bundle.constants(steps.evaluation().graph()), List.of(), engines);
    this.logs = new Logs(bundle, parts);
    this.constraints = new Constraints(bundle, parts, variables.weights());
  }

  /**
   * Returns the bundle the trainer began with.
   *
   * @return the bundle
   */
  public Bundle bundle() {
    return bundle;
  }

  /**
   * Returns the optimizer, whose learning rate may be changed between steps.
   *
   * @return the optimizer
   */
  public Optimizer optimizer() {
    return optimizer;
  }

  /**
   * Does one training step, as Keras's {@code train_on_batch} does: metrics go on from batch to batch until {@link #resetMetrics}.
   *
   * @param x the model's inputs by name
   * @param y labels by name of the output
   * @param sampleWeight sample weights by name of the output; outputs that are left out have ones
   * @throws KBridgeException INVALID_INPUT if something does not fit, NOT_A_NUMBER if the loss is no number; nothing has changed then
   */
  public synchronized void trainOnBatch(Map<String, INDArray> x, Map<String, INDArray> y, Map<String, INDArray> sampleWeight) {
    checkOpen();
    Map<String, INDArray> inputs = inputs(training, x, y, sampleWeight);
    StepPlan plan = training.of(inputs);
    plan.run(
        inputs,
        optimizer.lossScale(),
        values -> {
          requireNumber(values.get(training.step().loss()), inputs);
          requireNumbers(plan.gradients(values));
          plan.update(values);
          optimizer.apply(plan.gradients(values), plan.rows(values), constraints::apply);
          return null;
        });
    stepsDone++;
  }

  /**
   * Computes loss and metrics of a batch, as Keras's {@code test_on_batch} does, without training.
   *
   * @param x the model's inputs by name
   * @param y labels by name of the output
   * @param sampleWeight sample weights by name of the output; outputs that are left out have ones
   * @throws KBridgeException INVALID_INPUT if something does not fit
   */
  public synchronized void testOnBatch(Map<String, INDArray> x, Map<String, INDArray> y, Map<String, INDArray> sampleWeight) {
    checkOpen();
    Map<String, INDArray> inputs = inputs(evaluation, x, y, sampleWeight);
    StepPlan plan = evaluation.of(inputs);
    plan.run(
        inputs,
        1,
        values -> {
          plan.update(values);
          return null;
        });
  }

  /**
   * Trains on all batches of an iterator, some times over. Features and labels are taken in the order of the model's inputs and outputs, in
   * Keras's layout (channels last, unless the model says otherwise); masks of labels are sample weights.
   *
   * @param data the batches; it is reset before each epoch
   * @param epochs how many times
   * @param listeners are told how it goes on
   * @return loss and metrics of the last epoch
   */
  public Map<String, Double> fit(MultiDataSetIterator data, int epochs, TrainingListener... listeners) {
    return new Fitting(this).fit(Fitting.of(data), epochs, List.of(listeners));
  }

  /**
   * Trains a model with one input and one output; otherwise as {@link #fit(MultiDataSetIterator, int, TrainingListener...)}.
   *
   * @param data the batches; it is reset before each epoch
   * @param epochs how many times
   * @param listeners are told how it goes on
   * @return loss and metrics of the last epoch
   */
  public Map<String, Double> fit(DataSetIterator data, int epochs, TrainingListener... listeners) {
    return new Fitting(this).fit(Fitting.of(data), epochs, List.of(listeners));
  }

  /**
   * Evaluates all batches of an iterator.
   *
   * @param data the batches; it is reset before
   * @return loss and metrics
   */
  public Map<String, Double> evaluate(MultiDataSetIterator data) {
    return new Fitting(this).evaluate(Fitting.of(data));
  }

  /**
   * Evaluates all batches of an iterator, for a model with one input and one output.
   *
   * @param data the batches; it is reset before
   * @return loss and metrics
   */
  public Map<String, Double> evaluate(DataSetIterator data) {
    return new Fitting(this).evaluate(Fitting.of(data));
  }

  /**
   * Tells loss and metrics of the batches since the last {@link #resetMetrics}.
   *
   * @return the numbers by Keras's names, in Keras's order
   */
  public synchronized Map<String, Double> logs() {
    checkOpen();
    return logs.read();
  }

  /**
   * Sets the states of all stateful layers to zero, as {@code reset_state()} of Keras's layers does. Nothing else does that: as in Keras, training and
   * evaluation carry them on from batch to batch and from epoch to epoch.
   */
  public synchronized void resetStates() {
    checkOpen();
    variables.resetStates();
  }

  /** Sets all metrics back, as Keras does at the beginning of each epoch. */
  public synchronized void resetMetrics() {
    checkOpen();
    variables.resetMetrics();
  }

  /**
   * Computes the gradients of a batch and changes nothing.
   *
   * @param x the model's inputs by name
   * @param y labels by name of the output
   * @param sampleWeight sample weights by name of the output; outputs that are left out have ones
   * @return the gradient of each weight that is trained, by its name
   */
  public synchronized Map<String, INDArray> gradients(
      Map<String, INDArray> x, Map<String, INDArray> y, Map<String, INDArray> sampleWeight) {
    checkOpen();
    Map<String, INDArray> inputs = inputs(training, x, y, sampleWeight);
    StepPlan plan = training.of(inputs);
    return plan.run(
        inputs,
        1,
        values -> {
          Map<String, INDArray> copies = new LinkedHashMap<>();
          plan.gradients(values).forEach((name, array) -> copies.put(name, NativeArrays.copy(array)));
          return copies;
        });
  }

  /**
   * Describes what a training step does.
   *
   * @param x the model's inputs by name
   * @param y labels by name of the output
   * @param runs how often to run it, to find out how long each part takes; 0 for not at all
   * @return the plan's steps
   */
  public synchronized List<StepInfo> planSteps(Map<String, INDArray> x, Map<String, INDArray> y, int runs) {
    checkOpen();
    Map<String, INDArray> inputs = inputs(training, x, y, Map.of());
    return training.of(inputs).describe(inputs, runs);
  }

  /**
   * Returns the weights, with those that are not trained.
   *
   * @return the arrays themselves by name: they change with each step; write to them between steps only
   */
  public Map<String, INDArray> weights() {
    return Collections.unmodifiableMap(variables.weights());
  }

  /**
   * Returns every variable: weights, metrics and states.
   *
   * @return the arrays themselves by name
   */
  public Map<String, INDArray> variables() {
    return Collections.unmodifiableMap(variables.all());
  }

  /**
   * Gives a variable other content.
   *
   * @param name the variable
   * @param content an array of its type and shape
   * @throws KBridgeException INVALID_INPUT if there is no such variable, or the content does not fit
   */
  public synchronized void assign(String name, INDArray content) {
    checkOpen();
    variables.assign(name, content);
  }

  /**
   * Tells what a training step is given.
   *
   * @return its inputs, in order
   */
  public List<StepGraph.Input> inputs() {
    return steps.training().inputs();
  }

  /** Ends training after the current batch, when called by a listener. */
  public void stop() {
    stopped = true;
  }

  /**
   * Tells whether {@link #stop} was called, and forgets it.
   *
   * @return true if so
   */
  boolean takeStop() {
    boolean was = stopped;
    stopped = false;
    return was;
  }

  /**
   * Gives the weights new values, as if Keras had just built the model. The optimizer keeps its state.
   *
   * @param seed decides the values
   * @throws KBridgeException UNSUPPORTED_OP, naming all weights whose initializers are not known; nothing is changed then
   */
  public synchronized void reinitialize(long seed) {
    checkOpen();
    Reinitialization.apply(bundle.graph(), seed, variables.weights());
  }

  /**
   * Does what ends Keras's {@code fit}: with a moving average of the weights, they take its values.
   */
  public synchronized void finish() {
    checkOpen();
    optimizer.finish();
  }

  /**
   * Writes a new bundle with the weights, the states of layers and the optimizer's state as they are now. The file is whole or not there.
   *
   * @param file where to
   */
  public synchronized void save(Path file) {
    checkOpen();
    checkpoints.save(file, variables.weights(), variables.kept(), optimizer);
  }

  /** Frees memory. May be called again. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      training.close();
      evaluation.close();
      logs.close();
      constraints.close();
    }
  }

  private static Map<String, INDArray> inputs(
      StepPlans plans, Map<String, INDArray> x, Map<String, INDArray> y, Map<String, INDArray> sampleWeight) {
    return StepInputs.of(
        plans.step().inputs(), Map.of(StepGraph.Role.X, x, StepGraph.Role.Y, y, StepGraph.Role.SAMPLE_WEIGHT, sampleWeight));
  }

  private void requireNumber(INDArray loss, Map<String, INDArray> inputs) {
    if (Double.isNaN(loss.getDouble(0))) {
      String cause = FirstNaN.find(parts, training.step().graph(), training.constants(), inputs);
      throw new KBridgeException(
          ErrorCode.NOT_A_NUMBER,
          "Expected a loss that is a number at step " + stepsDone + " of this trainer (optimizer iteration " + optimizer.iterations()
              + "). Received: NaN; " + cause + ". The weights are those before the step. Lower the learning rate, clip gradients, or check"
              + " the data.");
    }
  }

  /** Stops before NaN gets into the weights, where it may stay unseen behind a ReLU of oneDNN. Loss scaling leaves such steps out itself. */
  private void requireNumbers(Map<String, INDArray> gradients) {
    gradients.forEach(
        (name, gradient) -> {
          if (optimizer.lossScale() == 1 && !Finite.all(gradient) && Double.isNaN(gradient.sumNumber().doubleValue())) {
            throw new KBridgeException(
                ErrorCode.NOT_A_NUMBER,
                "Expected gradients that are numbers at step " + stepsDone + " of this trainer. Received: NaN or infinities of both signs in that"
                    + " of '" + name + "'. The weights are those before the step. Lower the learning rate, or look for functions without a"
                    + " slope, such as a root of 0.");
          }
        });
  }

  /** Also makes the calling thread use the trainer's GPU. */
  private void checkOpen() {
    if (closed) {
      throw new IllegalStateException("Expected an open trainer. Received: one that was closed.");
    }
    NativeArrays.useGpu(gpu);
  }
}
