package io.kbridge.host;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.StepGraph;
import io.kbridge.train.Trainer;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A trainer, as other languages see it. Thread safe. */
public final class HostTrainer implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Trainer trainer;

  private HostTrainer(Trainer trainer) {
    this.trainer = trainer;
  }

  /**
   * Opens a bundle for training.
   *
   * @param path the bundle
   * @param optionsJson as for {@link HostModel#load}; its engine and device are used
   * @return the trainer
   */
  public static HostTrainer load(String path, String optionsJson) {
    return new HostTrainer(Trainer.open(Paths.get(path), HostModel.options(optionsJson)));
  }

  /**
   * Describes what a step is given.
   *
   * @return a JSON list of {@code {name, shape, dtype, role, of}}, in order; null for a size that is open
   */
  public String inputs() {
    ArrayNode list = JSON.createArrayNode();
    for (StepGraph.Input input : trainer.inputs()) {
      ObjectNode json = list.addObject();
      json.put("name", input.value().name()).put("dtype", input.value().type().kerasName());
      json.put("role", input.role().name().toLowerCase(Locale.ROOT)).put("of", input.of()).put("broadcast", input.broadcasts());
      ArrayNode shape = json.putArray("shape");
      for (long size : input.value().shape()) {
        if (size < 0) {
          shape.addNull();
        } else {
          shape.add(size);
        }
      }
    }
    return list.toString();
  }

  /**
   * Prepares steps with arrays of certain shapes.
   *
   * @param shapes the shape of each input in the order of {@link #inputs}; null for one that is left out
   * @return what does the steps
   */
  public HostStep step(long[][] shapes) {
    List<StepGraph.Input> inputs = trainer.inputs();
    if (shapes.length != inputs.size()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT, "Expected shapes of " + inputs.size() + " inputs. Received: " + shapes.length + ".");
    }
    return new HostStep(trainer, inputs, shapes.clone());
  }

  /**
   * Tells loss and metrics since the last {@link #resetMetrics}.
   *
   * @return a JSON object of numbers; NaN and infinity as strings
   */
  public String logs() {
    ObjectNode json = JSON.createObjectNode();
    trainer.logs().forEach(
        (name, value) -> {
          if (Double.isFinite(value)) {
            json.put(name, value);
          } else {
            json.put(name, Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf");
          }
        });
    return json.toString();
  }

  /** Sets the states of all stateful layers to zero. */
  public void resetStates() {
    trainer.resetStates();
  }

  /** Sets all metrics back. */
  public void resetMetrics() {
    trainer.resetMetrics();
  }

  /**
   * Gives the weights new values, as if Keras had just built the model; the optimizer keeps its state.
   *
   * @param seed decides the values
   */
  public void reinitialize(long seed) {
    trainer.reinitialize(seed);
  }

  /** Does what ends Keras's {@code fit}. */
  public void finish() {
    trainer.finish();
  }

  /**
   * Returns the names of all variables: weights, metrics and states.
   *
   * @return a JSON list
   */
  public String variables() {
    ArrayNode list = JSON.createArrayNode();
    trainer.variables().keySet().forEach(list::add);
    return list.toString();
  }

  /**
   * Returns copies of variables.
   *
   * @param names their names
   * @return the arrays, in the order of the names
   */
  public HostResult values(String[] names) {
    List<INDArray> arrays = new ArrayList<>();
    for (String name : names) {
      arrays.add(trainer.variables().get(name));
    }
    return new HostResult(arrays);
  }

  /**
   * Changes variables.
   *
   * @param names their names
   * @param addresses where the new content lies, of the type and shape of each
   */
  public void assign(String[] names, long[] addresses) {
    for (int i = 0; i < names.length; i++) {
      INDArray target = trainer.variables().get(names[i]);
      trainer.assign(names[i], HostCall.array(addresses[i], ElementType.of(target.dataType()), target.shape()));
    }
  }

  /**
   * Describes the optimizer's variables.
   *
   * @return a JSON list of {@code {name, slot, weight}} in Keras's order
   */
  public String slots() {
    ArrayNode list = JSON.createArrayNode();
    trainer.optimizer().variables().forEach(
        variable -> list.addObject().put("name", variable.name()).put("slot", variable.slot()).put("weight", variable.weight()));
    return list.toString();
  }

  /**
   * Returns copies of the optimizer's variables.
   *
   * @return the arrays, in the order of {@link #slots}
   */
  public HostResult slotValues() {
    List<INDArray> arrays = new ArrayList<>();
    trainer.optimizer().variables().forEach(variable -> arrays.add(variable.array()));
    return new HostResult(arrays);
  }

  /**
   * Returns the weights that are trained.
   *
   * @return a JSON list of names, in the order of {@link HostStep#gradients}
   */
  public String trained() {
    ArrayNode list = JSON.createArrayNode();
    trainer.optimizer().trained().forEach(list::add);
    return list.toString();
  }

  /**
   * Returns the learning rate of the next step.
   *
   * @return the rate
   */
  public double learningRate() {
    return trainer.optimizer().learningRate();
  }

  /**
   * Changes the learning rate.
   *
   * @param rate the new rate
   */
  public void setLearningRate(double rate) {
    trainer.optimizer().setLearningRate((float) rate);
  }

  /**
   * Returns how many updates were done.
   *
   * @return the count
   */
  public long iterations() {
    return trainer.optimizer().iterations();
  }

  /**
   * Writes a new bundle.
   *
   * @param path where to
   */
  public void save(String path) {
    trainer.save(Paths.get(path));
  }

  /** Frees the memory. May be called again. */
  @Override
  public void close() {
    trainer.close();
  }
}
