package io.kbridge.plan.onednn;

/**
 * The transforms of Winograd's algorithm along one axis, for many numbers at once: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks
 * (2015). Polynomials of four numbers are evaluated at 0, 1, -1 and infinity, those of six at 0, plus and minus {@link #NEAR}, plus and minus
 * {@link #FAR}, and infinity, as oneDNN does; with the paper's 1 and 2 rounding errors are a few times larger.
 *
 * <p>All arrays of a loop have the same length, and are read and written at the same place, which the JVM makes vector instructions of. A sum of two
 * products has to be a product and one that is added to it: C2 puts the operands of a sum in an order of its own, and then finds no vectors (0.72 ns for
 * each number of four instead of 0.07).
 */
final class WinogradLoops {
  /** The smaller one of the points. It and its powers are exact. */
  private static final float NEAR = 0.625f;

  /** The larger one. */
  private static final float FAR = 1.5f;

  private static final float NEAR2 = NEAR * NEAR;
  private static final float FAR2 = FAR * FAR;

  private WinogradLoops() {}

  /** Returns the points for six numbers but infinity. */
  static double[] five() {
    return new double[] {0, NEAR, -NEAR, FAR, -FAR};
  }

  /** Transforms six numbers of an image. */
  static void sixOfImage(float[][] x, int from, int step, float[][] z, int to, int stride) {
    float[] b = x[from + step];
    float[] c = x[from + 2 * step];
    float[] d = x[from + 3 * step];
    float[] e = x[from + 4 * step];
    edge(x[from], c, e, z[to]);
    near(b, c, d, e, z[to + stride], z[to + 2 * stride]);
    far(b, c, d, e, z[to + 3 * stride], z[to + 4 * stride]);
    edge(b, d, x[from + 5 * step], z[to + 5 * stride]);
  }

  /** Transforms six products to four numbers of the result. */
  static void sixToFour(float[][] x, int from, int step, float[][] z, int to, int stride) {
    float[] b = x[from + step];
    float[] c = x[from + 2 * step];
    float[] d = x[from + 3 * step];
    float[] e = x[from + 4 * step];
    even(x[from], b, c, d, e, z[to], z[to + 2 * stride]);
    odd(b, c, d, e, x[from + 5 * step], z[to + stride], z[to + 3 * stride]);
  }

  /** Transforms six products to two numbers of the result. */
  static void sixToTwo(float[][] x, int from, int step, float[][] z, int to, int stride) {
    float[] b = x[from + step];
    float[] c = x[from + 2 * step];
    float[] d = x[from + 3 * step];
    float[] e = x[from + 4 * step];
    sum(x[from], b, c, d, e, z[to]);
    second(b, c, d, e, x[from + 5 * step], z[to + stride]);
  }

  /** Transforms four numbers of an image. */
  static void fourOfImage(float[][] x, int from, int step, float[][] z, int to, int stride) {
    float[] b = x[from + step];
    float[] c = x[from + 2 * step];
    difference(c, x[from], z[to]);
    unit(b, c, z[to + stride], z[to + 2 * stride]);
    difference(x[from + 3 * step], b, z[to + 3 * stride]);
  }

  /** Transforms four products to two numbers of the result. */
  static void fourToTwo(float[][] x, int from, int step, float[][] z, int to, int stride) {
    units(x[from], x[from + step], x[from + 2 * step], x[from + 3 * step], z[to], z[to + stride]);
  }

  /** Adds one number to another in place. */
  static void shift(float[] shift, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] += shift[i];
    }
  }

  /** Adds one number to another in place, and lets nothing below zero. NaN stays. */
  static void shiftAndCut(float[] shift, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = Math.max(0f, z[i] + shift[i]);
    }
  }

  /** Finds the largest of four numbers; NaN if one is. The result may go to the first array. */
  static void largest(float[] a, float[] b, float[] c, float[] d, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = Math.max(Math.max(a[i], b[i]), Math.max(c[i], d[i]));
    }
  }

  private static void edge(float[] a, float[] b, float[] c, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = Math.fma(NEAR2 * FAR2, a[i], Math.fma(-(NEAR2 + FAR2), b[i], c[i]));
    }
  }

  private static void near(float[] a, float[] b, float[] c, float[] d, float[] sum, float[] difference) {
    for (int i = 0; i < sum.length; i++) {
      float even = Math.fma(-FAR2, b[i], d[i]);
      float odd = Math.fma(-FAR2, a[i], c[i]);
      sum[i] = Math.fma(NEAR, odd, even);
      difference[i] = Math.fma(-NEAR, odd, even);
    }
  }

  private static void far(float[] a, float[] b, float[] c, float[] d, float[] sum, float[] difference) {
    for (int i = 0; i < sum.length; i++) {
      float even = Math.fma(-NEAR2, b[i], d[i]);
      float odd = Math.fma(-NEAR2, a[i], c[i]);
      sum[i] = Math.fma(FAR, odd, even);
      difference[i] = Math.fma(-FAR, odd, even);
    }
  }

  private static void even(float[] a, float[] b, float[] c, float[] d, float[] e, float[] first, float[] third) {
    for (int i = 0; i < first.length; i++) {
      float near = b[i] + c[i];
      float far = d[i] + e[i];
      first[i] = a[i] + near + far;
      third[i] = Math.fma(FAR2, far, NEAR2 * near);
    }
  }

  private static void odd(float[] b, float[] c, float[] d, float[] e, float[] f, float[] second, float[] fourth) {
    for (int i = 0; i < second.length; i++) {
      float near = b[i] - c[i];
      float far = d[i] - e[i];
      second[i] = Math.fma(FAR, far, NEAR * near);
      fourth[i] = Math.fma(FAR2 * FAR, far, Math.fma(NEAR2 * NEAR, near, f[i]));
    }
  }

  private static void sum(float[] a, float[] b, float[] c, float[] d, float[] e, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = a[i] + (b[i] + c[i]) + (d[i] + e[i]);
    }
  }

  private static void second(float[] b, float[] c, float[] d, float[] e, float[] f, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = Math.fma(FAR, d[i] - e[i], Math.fma(NEAR, b[i] - c[i], f[i]));
    }
  }

  private static void difference(float[] a, float[] b, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = a[i] - b[i];
    }
  }

  private static void unit(float[] a, float[] b, float[] sum, float[] difference) {
    for (int i = 0; i < sum.length; i++) {
      sum[i] = b[i] + a[i];
      difference[i] = b[i] - a[i];
    }
  }

  private static void units(float[] a, float[] b, float[] c, float[] d, float[] first, float[] second) {
    for (int i = 0; i < first.length; i++) {
      first[i] = a[i] + (b[i] + c[i]);
      second[i] = b[i] - c[i] + d[i];
    }
  }
}
