package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.KBridgeException;
import io.kbridge.bundle.Bundle;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * One of Keras's optimizers with its state, as a bundle has it. It updates weights where they lie. Not thread safe.
 */
public interface Optimizer {
  /**
   * Makes the optimizer that a bundle's model was compiled with, and gives it a copy of the state in the bundle. An optimizer that was never
   * used gets the state that Keras starts with.
   *
   * @param bundle the bundle
   * @param weights all weights of the model by name, in writable memory, dense, 'c' order; the optimizer changes them
   * @return the optimizer
   * @throws KBridgeException UNSUPPORTED_OP if its class, its schedule or a key of their configs is not known, BUNDLE_FORMAT if state is missing
   */
  static Optimizer of(Bundle bundle, Map<String, INDArray> weights) {
    return OptimizerReader.read(bundle, weights);
  }

  /**
   * Returns what the loss has to be multiplied with before gradients are taken of it.
   *
   * @return the factor for the next step; 1 without loss scaling
   */
  float lossScale();

  /**
   * Returns the weights that it updates.
   *
   * @return their names, in Keras's order
   */
  Collection<String> trained();

  /**
   * Does one step: changes the weights and the optimizer's state.
   *
   * @param gradients the gradients of the scaled loss by weight, dense, 'c' order; a weight without one stays as it is
   * @param rows of weights of which only rows were read, the gradients of each reading, beside their sums in the gradients
   * @param constraints is called when the weights are updated, with the names of those that had gradients, before the step is counted; null
   *     for nothing to do
   * @return false if a gradient was not finite and loss scaling left out the step
   * @throws KBridgeException INVALID_INPUT if there are no gradients or one does not fit; nothing is changed then
   */
  boolean apply(Map<String, INDArray> gradients, Map<String, RowGradient> rows, Consumer<Set<String>> constraints);

  /**
   * Does one step, with no gradients in rows.
   *
   * @param gradients as above
   * @param constraints as above
   * @return as above
   */
  default boolean apply(Map<String, INDArray> gradients, Consumer<Set<String>> constraints) {
    return apply(gradients, Map.of(), constraints);
  }

  /** Does what Keras does at the end of {@code fit}: with a moving average of the weights, they take its values. */
  void finish();

  /**
   * Returns the learning rate of the next step.
   *
   * @return the rate
   */
  float learningRate();

  /**
   * Changes the learning rate.
   *
   * @param rate the new rate
   * @throws KBridgeException INVALID_INPUT if it follows a schedule, or several optimizers have one each
   */
  void setLearningRate(float rate);

  /**
   * Returns how many updates were done.
   *
   * @return Keras's {@code optimizer.iterations}
   */
  long iterations();

  /**
   * Returns its variables.
   *
   * @return the variables in the order of Keras's {@code optimizer.variables}
   */
  List<OptimizerVariable> variables();

  /**
   * Describes it as a bundle does, in the state it is in now.
   *
   * @return {@code optimizer} of docs/bundle-format.md, section 6
   */
  ObjectNode describe();
}
