package io.kbridge;

import io.kbridge.bundle.Golden;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Compares arrays element by element in float64. */
final class Comparison {
  private Comparison() {}

  /** Compares an output with what native Keras gave, of one shape and type, by the tolerances of golden samples. */
  static SelfTestReport.Output compare(String name, INDArray actual, INDArray expected, Golden golden) {
    double atol = golden.scaled() ? golden.atol() * largest(expected) : golden.atol();
    return compare(name, actual, expected, golden.rtol(), atol);
  }

  private static double largest(INDArray expected) {
    double largest = 0;
    for (double number : expected.isEmpty() ? new double[0] : doubles(expected)) {
      largest = Double.isFinite(number) ? Math.max(largest, Math.abs(number)) : largest;
    }
    return largest;
  }

  /** Compares two arrays of one shape and type; NaN agrees with NaN, an infinity with the same infinity, and with nothing else. */
  static SelfTestReport.Output compare(String name, INDArray actual, INDArray expected, double rtol, double atol) {
    long elements = expected.length();
    if (elements == 0) {
      return new SelfTestReport.Output(name, 0, 0, 0, 0);
    }
    double[] a = doubles(actual);
    double[] b = doubles(expected);
    long wrong = 0;
    double absolute = 0;
    double relative = 0;
    for (int i = 0; i < b.length; i++) {
      if (a[i] == b[i] || Double.isNaN(a[i]) && Double.isNaN(b[i])) {
        continue;
      }
      double error = Math.abs(a[i] - b[i]);
      if (Double.isNaN(error)) {
        error = Double.POSITIVE_INFINITY;
      }
      // NB: written so that an infinite expectation, whose tolerance would be infinite too, agrees with nothing finite.
      boolean close = error <= atol + rtol * Math.abs(b[i]) && !Double.isInfinite(error);
      wrong += close ? 0 : 1;
      absolute = Math.max(absolute, error);
      relative = Math.max(relative, Double.isInfinite(error) ? error : error / Math.abs(b[i]));
    }
    return new SelfTestReport.Output(name, elements, wrong, absolute, relative);
  }

  private static double[] doubles(INDArray array) {
    // NB: castTo double is exact for every type but 64-bit integers beyond 2^53.
    return array.reshape(array.length()).castTo(DataType.DOUBLE).toDoubleVector();
  }
}
