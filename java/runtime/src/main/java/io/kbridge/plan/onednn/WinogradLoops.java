package io.kbridge.plan.onednn;

import java.util.List;

/**
 * The transforms of Winograd's algorithm F(4, 3) along one axis, for many numbers at once: Lavin and Gray, Fast Algorithms for Convolutional
 * Neural Networks (2015). Its polynomials are evaluated at 0, plus and minus {@link #NEAR}, plus and minus {@link #FAR}, and infinity, as oneDNN does;
 * with the paper's 1 and 2 rounding errors are a few times larger. All arrays of a loop have the same length, and are read and written at the same
 * place, which the JVM makes vector instructions of.
 */
final class WinogradLoops {
  /** The smaller one of the points. It and its powers are exact. */
  static final float NEAR = 0.625f;

  /** The larger one. */
  static final float FAR = 1.5f;

  private static final float NEAR2 = NEAR * NEAR;
  private static final float FAR2 = FAR * FAR;

  private WinogradLoops() {}

  /**
   * Transforms six numbers of an image.
   *
   * @param x six arrays
   * @param z six other arrays, for the result
   * @return what does it
   */
  static List<Runnable> image(float[][] x, float[][] z) {
    return List.of(
        () -> edge(x[0], x[2], x[4], z[0]),
        () -> near(x[1], x[2], x[3], x[4], z[1], z[2]),
        () -> far(x[1], x[2], x[3], x[4], z[3], z[4]),
        () -> edge(x[1], x[3], x[5], z[5]));
  }

  /**
   * Transforms six products to four numbers of the result.
   *
   * @param x six arrays
   * @param z four other arrays, for the result
   * @return what does it
   */
  static List<Runnable> result(float[][] x, float[][] z) {
    return List.of(
        () -> first(x[0], x[1], x[2], x[3], x[4], z[0]),
        () -> second(x[1], x[2], x[3], x[4], z[1]),
        () -> third(x[1], x[2], x[3], x[4], z[2]),
        () -> fourth(x[1], x[2], x[3], x[4], x[5], z[3]));
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

  private static void edge(float[] a, float[] b, float[] c, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = NEAR2 * FAR2 * a[i] - (NEAR2 + FAR2) * b[i] + c[i];
    }
  }

  private static void near(float[] a, float[] b, float[] c, float[] d, float[] sum, float[] difference) {
    for (int i = 0; i < sum.length; i++) {
      float even = d[i] - FAR2 * b[i];
      float odd = NEAR * (c[i] - FAR2 * a[i]);
      sum[i] = even + odd;
      difference[i] = even - odd;
    }
  }

  private static void far(float[] a, float[] b, float[] c, float[] d, float[] sum, float[] difference) {
    for (int i = 0; i < sum.length; i++) {
      float even = d[i] - NEAR2 * b[i];
      float odd = FAR * (c[i] - NEAR2 * a[i]);
      sum[i] = even + odd;
      difference[i] = even - odd;
    }
  }

  private static void first(float[] a, float[] b, float[] c, float[] d, float[] e, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = a[i] + (b[i] + c[i]) + (d[i] + e[i]);
    }
  }

  private static void second(float[] a, float[] b, float[] c, float[] d, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = NEAR * (a[i] - b[i]) + FAR * (c[i] - d[i]);
    }
  }

  private static void third(float[] a, float[] b, float[] c, float[] d, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = NEAR2 * (a[i] + b[i]) + FAR2 * (c[i] + d[i]);
    }
  }

  private static void fourth(float[] a, float[] b, float[] c, float[] d, float[] e, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = NEAR2 * NEAR * (a[i] - b[i]) + FAR2 * FAR * (c[i] - d[i]) + e[i];
    }
  }
}
