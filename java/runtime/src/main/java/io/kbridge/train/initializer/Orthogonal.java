package io.kbridge.train.initializer;

import java.util.Arrays;

/**
 * Orthonormal columns, or rows if there are fewer: random normal vectors, each made orthogonal to those before. That is the Q of a QR
 * decomposition whose R has a positive diagonal, as Keras has it.
 */
final class Orthogonal implements Initializer {
  private final double gain;

  Orthogonal(double gain) {
    this.gain = gain;
  }

  @Override
  public double[] values(long[] shape, Draws draws) {
    if (shape.length < 2) {
      throw Initializers.refused("a weight with two axes or more for Orthogonal", "the shape " + Arrays.toString(shape));
    }
    int columns = (int) shape[shape.length - 1];
    int rows = 1;
    for (int i = 0; i < shape.length - 1; i++) {
      rows *= (int) shape[i];
    }
    double[][] vectors = new double[Math.min(rows, columns)][];
    for (int i = 0; i < vectors.length; i++) {
      vectors[i] = next(vectors, i, Math.max(rows, columns), draws);
    }
    double[] values = new double[rows * columns];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        values[i * columns + j] = gain * (rows < columns ? vectors[i][j] : vectors[j][i]);
      }
    }
    return values;
  }

  private static double[] next(double[][] before, int count, int length, Draws draws) {
    double[] vector = Draws.fill(new long[] {length}, draws::normal);
    // NB: twice, since the first time leaves rounding errors of the size of what it took away.
    for (int round = 0; round < 2; round++) {
      for (int i = 0; i < count; i++) {
        subtract(vector, before[i], dot(vector, before[i]));
      }
    }
    double norm = Math.sqrt(dot(vector, vector));
    for (int i = 0; i < length; i++) {
      vector[i] /= norm;
    }
    return vector;
  }

  private static double dot(double[] x, double[] y) {
    double sum = 0;
    for (int i = 0; i < x.length; i++) {
      sum += x[i] * y[i];
    }
    return sum;
  }

  private static void subtract(double[] x, double[] y, double factor) {
    for (int i = 0; i < x.length; i++) {
      x[i] -= factor * y[i];
    }
  }
}
