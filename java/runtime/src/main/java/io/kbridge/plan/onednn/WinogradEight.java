package io.kbridge.plan.onednn;

/**
 * The transforms for polynomials of nine numbers, evaluated at eight points, plus and minus each, and at infinity. Points were looked for that make
 * rounding errors small: they are 1.5 times those of 4x4 results from 6x6. With zero as a ninth point, for four results, it would be twice.
 *
 * <p>The polynomial that is zero at all points but {@code p} is {@code (x + p) q(x * x)}, where {@code q} is zero at the squares of the others. So
 * numbers at even and at odd places have the same factors, and the sum of those at even ones is multiplied with {@code p}. See {@link WinogradLoops} for what loops have to look
 * like; those with two results of eight arrays find no vectors, either.
 */
final class WinogradEight {
  // NB: they and their squares are exact.
  private static final float[] POINTS = {0.25f, 0.6875f, 1.09375f, 2.25f};
  private static final float[] SQUARES = squares();
  private static final float[][] OTHERS = {product(0), product(1), product(2), product(3)};
  private static final float[] ALL = product(-1);

  private WinogradEight() {}

  /** Returns the points but infinity. */
  static double[] points() {
    double[] points = new double[2 * POINTS.length];
    for (int i = 0; i < points.length; i++) {
      points[i] = i % 2 == 0 ? POINTS[i / 2] : -POINTS[i / 2];
    }
    return points;
  }

  private static float[] squares() {
    float[] squares = POINTS.clone();
    for (int i = 0; i < squares.length; i++) {
      squares[i] *= squares[i];
    }
    return squares;
  }

  /** Returns the polynomial that is zero at the squares of the points, but for one of them, the lowest power first. */
  private static float[] product(int but) {
    double[] all = {1, 0, 0, 0, 0};
    for (int i = 0; i < POINTS.length; i++) {
      for (int power = i == but ? -1 : all.length - 1; power >= 0; power--) {
        all[power] = (power == 0 ? 0 : all[power - 1]) - (double) POINTS[i] * POINTS[i] * all[power];
      }
    }
    float[] rounded = new float[all.length];
    for (int i = 0; i < all.length; i++) {
      rounded[i] = (float) all[i];
    }
    return rounded;
  }

  /** Transforms nine numbers of an image. */
  static void ofImage(float[][] x, int from, int step, float[][] z, int to, int stride) {
    for (int i = 0; i < POINTS.length; i++) {
      float[] even = z[to + 2 * i * stride];
      float[] odd = z[to + (2 * i + 1) * stride];
      four(x, from, 2 * step, OTHERS[i], even);
      four(x, from + step, 2 * step, OTHERS[i], odd);
      both(POINTS[i], even, odd);
    }
    five(x, from, 2 * step, ALL, z[to + 8 * stride]);
  }

  /** Transforms nine products to three numbers of the result. Changes the products. */
  static void toThree(float[][] x, int from, int step, float[][] z, int to, int stride) {
    for (int i = 0; i < POINTS.length; i++) {
      unit(x[from + 2 * i * step], x[from + (2 * i + 1) * step]);
    }
    sum(x[from], x[from + 2 * step], x[from + 4 * step], x[from + 6 * step], z[to]);
    four(x, from + step, 2 * step, POINTS, z[to + stride]);
    five(x, from, 2 * step, SQUARES, z[to + 2 * stride]);
  }

  private static void four(float[][] x, int from, int step, float[] factors, float[] z) {
    four(x[from], x[from + step], x[from + 2 * step], x[from + 3 * step], factors[0], factors[1], factors[2], factors[3], z);
  }

  private static void four(float[] a, float[] b, float[] c, float[] d, float p, float q, float r, float s, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = Math.fma(p, a[i], Math.fma(q, b[i], Math.fma(r, c[i], s * d[i])));
    }
  }

  /** The last one has no factor. */
  private static void five(float[][] x, int from, int step, float[] factors, float[] z) {
    float[] last = x[from + 4 * step];
    five(x[from], x[from + step], x[from + 2 * step], x[from + 3 * step], last, factors[0], factors[1], factors[2], factors[3], z);
  }

  private static void five(float[] a, float[] b, float[] c, float[] d, float[] e, float p, float q, float r, float s, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = Math.fma(p, a[i], Math.fma(q, b[i], Math.fma(r, c[i], Math.fma(s, d[i], e[i]))));
    }
  }

  private static void sum(float[] a, float[] b, float[] c, float[] d, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = (a[i] + b[i]) + (c[i] + d[i]);
    }
  }

  /** Makes of the two parts what the polynomial is at a point, and at minus it. */
  private static void both(float point, float[] even, float[] odd) {
    for (int i = 0; i < even.length; i++) {
      float a = even[i];
      float b = odd[i];
      even[i] = Math.fma(point, a, b);
      odd[i] = Math.fma(-point, a, b);
    }
  }

  private static void unit(float[] sum, float[] difference) {
    for (int i = 0; i < sum.length; i++) {
      float a = sum[i];
      float b = difference[i];
      sum[i] = a + b;
      difference[i] = a - b;
    }
  }
}
