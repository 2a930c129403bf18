package io.kbridge.train.optimizer;

import java.util.List;

/**
 * How one class of Keras's optimizers updates a weight. What all optimizers share (clipping, weight decay, moving averages, gradient
 * accumulation, loss scaling) is not the rule's business.
 */
public interface UpdateRule {
  /**
   * Names the variables kept for a weight.
   *
   * @param weight the weight
   * @return groups of slots: Keras makes the first group's for each weight, then the second group's for each weight, and so on
   */
  List<List<Slot>> slots(TrainedWeight weight);

  /**
   * Names the float32 variables kept once for all weights; Keras makes them after the slots.
   *
   * @return the variables, as slots that are scalars
   */
  default List<Slot> globals() {
    return List.of();
  }

  /**
   * Tells whether a weight's update needs all its values at once; otherwise it is updated in pieces of any size.
   *
   * @param weight the weight
   * @return true if so
   */
  default boolean takesWhole(TrainedWeight weight) {
    return false;
  }

  /**
   * Tells what it takes of gradients besides themselves.
   *
   * @return what its kernels get
   */
  default Magnitude magnitude() {
    return Magnitude.SQUARES;
  }

  /**
   * Returns the decay of a weight that is not excluded from it.
   *
   * @param weight the weight
   * @param configured the config's {@code weight_decay}, or null
   * @return the decay, or null for none
   */
  default Double weightDecay(TrainedWeight weight, Double configured) {
    return configured;
  }

  /**
   * Prepares a step, before any weight is updated.
   *
   * @param step the step
   */
  default void begin(StepState step) {}

  /**
   * Gives the update of a weight in a step. Called from several threads.
   *
   * @param weight the weight
   * @param step the step
   * @return the update
   */
  Kernel kernel(TrainedWeight weight, StepState step);
}
