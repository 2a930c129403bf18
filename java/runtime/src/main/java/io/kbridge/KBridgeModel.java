package io.kbridge;

import io.kbridge.bundle.Bundle;
import io.kbridge.graph.LayerOutput;
import io.kbridge.plan.StepInfo;
import io.kbridge.train.initializer.Reinitialization;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Function;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A model, loaded and ready. Made by {@link KBridge#load}.
 *
 * <p>Thread safe: any number of threads may predict at once, over shared weights. {@link #close()} waits for them; after it, every method but
 * close() throws {@link IllegalStateException}.
 *
 * <p>A model with stateful layers keeps their states from one {@code predict} to the next, as Keras does: they start as they were at export. Its
 * predictions run one after the other; which one comes first is for the callers to settle, since each has the states that the one before left. All
 * other methods that compute leave the states as they are.
 */
public final class KBridgeModel implements AutoCloseable {
  private final ReadWriteLock lock = new ReentrantReadWriteLock();
  private final LoadOptions options;
  private OpenModel open;

  KBridgeModel(Bundle bundle, LoadOptions options) {
    this.options = options;
    this.open = new OpenModel(bundle, bundle.arrays(), options);
  }

  /**
   * Returns the model's name.
   *
   * @return the name Keras gave it
   */
  public String name() {
    return read(s -> s.graph.name());
  }

  /**
   * Returns the file the model was loaded from.
   *
   * @return its path
   */
  public Path file() {
    return read(s -> s.bundle.file());
  }

  /**
   * Returns the options the model was loaded with.
   *
   * @return the options
   */
  public LoadOptions options() {
    return read(s -> options);
  }

  /**
   * Returns the inputs.
   *
   * @return the inputs by name, in the order Keras flattens them
   */
  public Map<String, TensorInfo> inputs() {
    return read(s -> s.inputs);
  }

  /**
   * Returns the outputs.
   *
   * @return the outputs by name, in the order Keras flattens them
   */
  public Map<String, TensorInfo> outputs() {
    return read(s -> s.outputs);
  }

  /**
   * Returns how the flat list of inputs nests in Keras, as the bundle has it: {@code "*"} is one tensor, a list is a list, an object is a dict, a
   * number an index in the flat list.
   *
   * @return JSON
   */
  public String inputStructure() {
    return read(s -> s.graph.json("input_structure"));
  }

  /**
   * Returns how the flat list of outputs nests in Keras; see {@link #inputStructure()}.
   *
   * @return JSON
   */
  public String outputStructure() {
    return read(s -> s.graph.json("output_structure"));
  }

  /**
   * Returns every layer with its complete Keras config, as the bundle has it.
   *
   * @return JSON
   */
  public String layers() {
    return read(s -> s.graph.json("layers"));
  }

  /**
   * Returns what {@code compile()} was given, as the bundle has it.
   *
   * @return JSON
   */
  public String training() {
    return read(s -> s.bundle.training().toString());
  }

  /**
   * Returns where the model came from, as the bundle has it.
   *
   * @return JSON
   */
  public String provenance() {
    return read(s -> s.bundle.provenance().toString());
  }

  /**
   * Returns which values each call of each Keras layer gave, for {@link #values}.
   *
   * @return the calls, in the order they run
   */
  public List<LayerOutput> layerOutputs() {
    return read(s -> s.graph.layerOutputs());
  }

  /**
   * Returns the states that stateful layers keep from one prediction to the next.
   *
   * @return the states as they are now by name, in arrays of their own; none where each prediction is one by itself
   */
  public Map<String, INDArray> states() {
    return compute(s -> s.states.copies());
  }

  /**
   * Lets the next prediction start from other states, such as those of a sequence that was put aside.
   *
   * @param states states by name, as {@link #states()} returns them; those that are left out stay as they are
   * @throws KBridgeException INVALID_INPUT if there is no such state, or one has another shape or type; nothing is changed then
   */
  public void setStates(Map<String, INDArray> states) {
    compute(
        s -> {
          s.states.set(states);
          return null;
        });
  }

  /** Sets the states of all stateful layers to zero, as {@code reset_state()} of Keras's layers does: the next prediction begins a sequence. */
  public void resetStates() {
    compute(
        s -> {
          s.states.reset();
          return null;
        });
  }

  /**
   * Computes the outputs.
   *
   * @param inputs the inputs by name; optional ones may be left out; not changed
   * @return the outputs by name, in arrays of their own
   * @throws KBridgeException INVALID_INPUT if the inputs do not fit the model, OUT_OF_MEMORY, or INTERNAL
   * @throws IllegalStateException if the model is closed
   */
  public Map<String, INDArray> predict(Map<String, INDArray> inputs) {
    return compute(s -> s.predict(InputCheck.check(s.inputs, inputs)));
  }

  /**
   * Computes the output of a model that has one input and one output.
   *
   * @param input the input; not changed
   * @return the output, in an array of its own
   * @throws KBridgeException INVALID_INPUT if the input does not fit, or the model has several inputs or outputs
   * @throws IllegalStateException if the model is closed
   */
  public INDArray predict(INDArray input) {
    return compute(s -> s.predictSingle(input));
  }

  /**
   * Computes values from inside the graph. A plan is made for this one call, so it is slower than {@link #predict(Map)}.
   *
   * @param inputs the inputs by name
   * @param valueNames names of graph values, such as those of {@link #layerOutputs()}
   * @return the values by name, in the order asked for, in arrays of their own
   * @throws KBridgeException INVALID_INPUT if the inputs do not fit or a value is unknown
   * @throws IllegalStateException if the model is closed
   */
  public Map<String, INDArray> values(Map<String, INDArray> inputs, Collection<String> valueNames) {
    return compute(s -> s.values(InputCheck.check(s.inputs, inputs), new LinkedHashSet<>(valueNames)));
  }

  /**
   * Computes the outputs and lets them be read where they lie, for callers that have memory of their own for them: nothing is allocated or
   * copied for the caller.
   *
   * @param inputs the inputs by name; optional ones may be left out; not changed
   * @param reader gets the outputs in the model's order; two may be one array; they are the model's own memory, to be neither changed nor kept
   * @param <T> what the reader makes of them
   * @return what the reader returned
   * @throws KBridgeException INVALID_INPUT if the inputs do not fit the model, OUT_OF_MEMORY, or INTERNAL
   * @throws IllegalStateException if the model is closed
   */
  public <T> T predict(Map<String, INDArray> inputs, Function<List<INDArray>, T> reader) {
    return compute(s -> s.states.call(s.plans, InputCheck.check(s.inputs, inputs), values -> reader.apply(s.outputsOf(values))));
  }

  /**
   * Gets ready for inputs of certain shapes: compiles a plan, packs weights, finds out which algorithms are the fastest. Predictions do that by
   * themselves, the first one for each set of shapes; this is for those who want the first one to be as fast as the others.
   *
   * @param shapes the shape of each input, by name; optional ones may be left out
   * @throws KBridgeException INVALID_INPUT if the shapes do not fit the model, OUT_OF_MEMORY, or INTERNAL
   * @throws IllegalStateException if the model is closed
   */
  public void warmUp(Map<String, long[]> shapes) {
    compute(s -> s.warmUp(shapes));
  }

  /**
   * Gets a model that has one input ready; see {@link #warmUp(Map)}.
   *
   * @param shape the shape of the input
   * @throws KBridgeException INVALID_INPUT if the shape does not fit, or the model has several inputs
   * @throws IllegalStateException if the model is closed
   */
  public void warmUp(long... shape) {
    compute(s -> s.warmUp(Map.of(s.onlyInput("warmUp(Map) with each shape"), shape)));
  }

  /**
   * Tells what a prediction does, step by step.
   *
   * @param inputs an array for each input, by name
   * @param runs how often to run it, to find out how long each step takes; 0 for not at all
   * @return the steps in the order they run
   */
  public List<StepInfo> planSteps(Map<String, INDArray> inputs, int runs) {
    return compute(s -> s.plans.describe(s.states.beside(InputCheck.check(s.inputs, inputs)), runs));
  }

  /**
   * Finds out how large the values get that convolutions and products read, for {@link LoadOptions.Builder#calibration}.
   *
   * @param samples inputs like those to come, each as for {@link #predict(Map)}
   * @return the range of each value over all samples
   * @throws KBridgeException INVALID_INPUT if inputs do not fit the model, there are none, or a value gets infinite or NaN
   * @throws IllegalStateException if the model is closed
   */
  public Calibration calibrate(Iterable<Map<String, INDArray>> samples) {
    return compute(s -> s.calibrate(samples));
  }

  /** Tells whether {@link #selfTest()} has anything to run. */
  boolean hasGolden() {
    return read(s -> s.bundle.golden() != null);
  }

  /**
   * Runs the golden samples in the bundle and compares the outputs with what native Keras gave. States are those of the file meanwhile.
   *
   * @return the comparison; {@link SelfTestReport#orThrow()} makes an error of one that failed
   * @throws KBridgeException BUNDLE_FORMAT if the bundle has no golden samples
   * @throws IllegalStateException if the model is closed
   */
  public SelfTestReport selfTest() {
    return compute(s -> s.selfTest(s::answer));
  }

  /**
   * Lets something else answer the golden samples in the bundle, and compares with what native Keras gave: another form of this model, such as
   * {@link #sameDiff()}, or a network that was made of it.
   *
   * @param answerer gets the inputs by name, and gives the outputs by the names of {@link #outputs()}
   * @return the comparison
   * @throws KBridgeException BUNDLE_FORMAT if the bundle has no golden samples
   * @throws IllegalStateException if the model is closed
   */
  public SelfTestReport selfTestOf(Function<Map<String, INDArray>, Map<String, INDArray>> answerer) {
    return compute(s -> s.selfTest(answerer));
  }

  /**
   * Says the model as a SameDiff graph, for code that wants that class. Placeholders are the model's inputs, variables its trainable weights, under
   * their names; outputs carry the names of {@link #outputs()}, with {@code /output} behind where that is an input's or a weight's. Optional inputs
   * are left out. The graph has been run on the golden samples, where the bundle has them, before it is given.
   *
   * @return a graph with arrays of its own, which lives on when the model is closed
   * @throws KBridgeException UNSUPPORTED_OP, naming every operation that SameDiff does not compute as Keras does; SELF_TEST_FAILED
   * @throws IllegalStateException if the model is closed
   */
  public SameDiff sameDiff() {
    return compute(OpenModel::sameDiff);
  }

  /**
   * Gives the model new weights, as if Keras had just built it: each is drawn from the distribution that its initializer names, and states are
   * zero. Waits for predictions that run. The file stays as it is, and golden samples tell what its weights give.
   *
   * @param seed decides the weights: the same seed gives the same
   * @throws KBridgeException UNSUPPORTED_OP, naming all weights whose initializers are not known; nothing is changed then
   * @throws IllegalStateException if the model is closed
   */
  public void reinitialize(long seed) {
    lock.writeLock().lock();
    try {
      OpenModel before = checkOpen();
      if (options.calibration() != null) {
        throw new KBridgeException(
            ErrorCode.INVALID_INPUT,
            "Expected a model without a calibration, which tells of the file's weights. Received: one for precision 'int8'. Load it in float32.");
      }
      Map<String, INDArray> arrays = Reinitialization.of(before.bundle, seed);
      open = new OpenModel(before.bundle, arrays, options);
      open.states.reset();
      before.close();
    } finally {
      lock.writeLock().unlock();
    }
  }

  /**
   * Makes a {@code ComputationGraph} of the model, if DL4J's own layers can say it: for evaluation, transfer learning and training with
   * Deeplearning4j. It has answered the golden samples as Keras did. Needs {@code kbridge-dl4j} on the class path.
   *
   * @param <T> {@code org.deeplearning4j.nn.graph.ComputationGraph}
   * @return the network, with arrays of its own
   * @throws KBridgeException UNSUPPORTED_OP, naming every layer in the way, or without kbridge-dl4j; SELF_TEST_FAILED
   * @throws IllegalStateException if the model is closed
   */
  @SuppressWarnings("unchecked")
  public <T> T toComputationGraph() {
    return (T) compute(s -> NetworkForms.find().computationGraph(this, s.bundle, s.arrays));
  }

  /**
   * Makes a {@code MultiLayerNetwork} of a model that is a chain of layers; see {@link #toComputationGraph()}.
   *
   * @param <T> {@code org.deeplearning4j.nn.multilayer.MultiLayerNetwork}
   * @return the network, with arrays of its own
   * @throws KBridgeException UNSUPPORTED_OP, naming every layer in the way, or without kbridge-dl4j; SELF_TEST_FAILED
   * @throws IllegalStateException if the model is closed
   */
  @SuppressWarnings("unchecked")
  public <T> T toMultiLayerNetwork() {
    return (T) compute(s -> NetworkForms.find().multiLayerNetwork(this, s.bundle, s.arrays));
  }

  /** Gives the model's memory back, once predictions that are running have ended. Closing again does nothing. */
  @Override
  public void close() {
    lock.writeLock().lock();
    try {
      if (open != null) {
        open.close();
        open = null;
      }
    } finally {
      lock.writeLock().unlock();
    }
  }

  private <T> T compute(Function<OpenModel, T> computation) {
    return read(
        s -> {
          Backend.selectDevice(options);
          return computation.apply(s);
        });
  }

  private <T> T read(Function<OpenModel, T> reader) {
    lock.readLock().lock();
    try {
      return reader.apply(checkOpen());
    } finally {
      lock.readLock().unlock();
    }
  }

  private OpenModel checkOpen() {
    if (open == null) {
      throw new IllegalStateException("Expected an open model. Received: a call after close(). Load the model again.");
    }
    return open;
  }
}
