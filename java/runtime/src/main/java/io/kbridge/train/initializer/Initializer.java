package io.kbridge.train.initializer;

/** Makes the first values of a weight. */
@FunctionalInterface
public interface Initializer {
  /**
   * Makes values.
   *
   * @param shape the weight's shape
   * @param draws random numbers
   * @return as many values as the shape has, row-major
   */
  double[] values(long[] shape, Draws draws);
}
