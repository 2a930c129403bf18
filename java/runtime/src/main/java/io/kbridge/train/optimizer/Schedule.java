package io.kbridge.train.optimizer;

/** A learning rate that changes from step to step. */
@FunctionalInterface
public interface Schedule {
  /**
   * Computes the rate of a step, in float32 as Keras does.
   *
   * @param step how many steps were done before
   * @return the learning rate
   */
  float at(long step);
}
