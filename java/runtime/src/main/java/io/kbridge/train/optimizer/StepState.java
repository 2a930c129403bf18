package io.kbridge.train.optimizer;

import java.util.Map;

/** What an update may know of the step besides a weight, its gradient and its slots. */
public final class StepState {
  private final float learningRate;
  private final long iterations;
  private final Map<String, OptimizerVariable> globals;

  StepState(float learningRate, long iterations, Map<String, OptimizerVariable> globals) {
    this.learningRate = learningRate;
    this.iterations = iterations;
    this.globals = globals;
  }

  /**
   * Returns the learning rate.
   *
   * @return the rate of this step
   */
  public float learningRate() {
    return learningRate;
  }

  /**
   * Returns how many updates were done before.
   *
   * @return the count
   */
  public long iterations() {
    return iterations;
  }

  /**
   * Returns Keras's {@code local_step}: {@code iterations + 1} in float32.
   *
   * @return the number
   */
  public float localStep() {
    return iterations + 1;
  }

  /**
   * Returns a power of a number to the {@link #localStep}.
   *
   * @param base the number
   * @return the power in float32
   */
  public float toLocalStep(float base) {
    return power(base, localStep());
  }

  /**
   * Computes a power, rounded to float32 once.
   *
   * @param base the base
   * @param exponent the exponent
   * @return the power
   */
  public static float power(float base, float exponent) {
    return (float) Math.pow(base, exponent);
  }

  /**
   * Computes a square root.
   *
   * @param x a number
   * @return its root in float32
   */
  public static float sqrt(float x) {
    return (float) Math.sqrt(x);
  }

  /**
   * Reads a variable that the optimizer has once for all weights.
   *
   * @param slot its name
   * @return its value
   */
  public float global(String slot) {
    return globals.get(slot).number();
  }

  /**
   * Changes a variable that the optimizer has once for all weights.
   *
   * @param slot its name
   * @param value its new value
   */
  public void setGlobal(String slot, float value) {
    globals.get(slot).set(value);
  }
}
