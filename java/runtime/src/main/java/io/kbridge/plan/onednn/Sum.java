package io.kbridge.plan.onednn;

/**
 * Part of one step of a recurrent layer: {@code sequence * kernel + source * recurrent + bias}, each term perhaps absent. Immutable, and not
 * computed until something else is to be done with it.
 */
final class Sum {
  private final Matrix kernel;
  private final Register source;
  private final Matrix recurrent;
  private final float[] bias;
  private final int width;

  Sum(Matrix kernel, Register source, Matrix recurrent, float[] bias, int width) {
    this.kernel = kernel;
    this.source = source;
    this.recurrent = recurrent;
    this.bias = bias;
    this.width = width;
  }

  /** Adds two sums; null if both have a term of one kind. */
  Sum plus(Sum other) {
    if (width != other.width || kernel != null && other.kernel != null || source != null && other.source != null) {
      return null;
    }
    return new Sum(
        kernel == null ? other.kernel : kernel,
        source == null ? other.source : source,
        recurrent == null ? other.recurrent : recurrent,
        sum(bias, other.bias),
        width);
  }

  /** Adds one number for each column. */
  Sum plus(float[] numbers) {
    return new Sum(kernel, source, recurrent, sum(bias, numbers), width);
  }

  /** Returns some columns. */
  Sum columns(int from, int to) {
    return new Sum(
        kernel == null ? null : kernel.columns(from, to),
        source,
        recurrent == null ? null : recurrent.columns(from, to),
        bias == null ? null : java.util.Arrays.copyOfRange(bias, from, to),
        to - from);
  }

  /** Returns what the sequence is multiplied by, or null. */
  Matrix kernel() {
    return kernel;
  }

  /** Returns what is multiplied by {@link #recurrent}, or null. */
  Register source() {
    return source;
  }

  Matrix recurrent() {
    return recurrent;
  }

  /** Returns what is added, or null. */
  float[] bias() {
    return bias;
  }

  int width() {
    return width;
  }

  private static float[] sum(float[] a, float[] b) {
    if (a == null || b == null) {
      return a == null ? b : a;
    }
    float[] sum = new float[a.length];
    Vectors.add(a, b, sum);
    return sum;
  }
}
