package io.kbridge.plan.onednn;

/**
 * Loops over arrays of numbers. The compiler of the JVM turns them into vector instructions, but only as they are here: every array is read
 * and written at the same index, from 0 on.
 */
final class Vectors {
  static final Unary TANH = Vectors::tanh;
  static final Unary SIGMOID = Vectors::sigmoid;
  static final Unary RELU = Vectors::relu;
  static final Unary HARD_SIGMOID = Vectors::hardSigmoid;
  static final Binary ADD = Vectors::add;
  static final Binary SUBTRACT = Vectors::subtract;
  static final Binary MULTIPLY = Vectors::multiply;

  private Vectors() {}

  /** A function of one array. */
  @FunctionalInterface
  interface Unary {
    void apply(float[] x, float[] z);
  }

  /** A function of two arrays. */
  @FunctionalInterface
  interface Binary {
    void apply(float[] x, float[] y, float[] z);
  }

  /** The rational function that Eigen uses for tanh: within 4e-7 of it, everywhere. */
  static void tanh(float[] x, float[] z) {
    for (int i = 0; i < z.length; i++) {
      float v = Math.max(-9f, Math.min(9f, x[i]));
      float s = v * v;
      float p = 1.48572235717979e-05f + s * (5.12229709037114e-08f + s * (-8.60467152213735e-11f + s * (2.00018790482477e-13f + s * -2.76076847742355e-16f)));
      float q = 4.89352518554385e-03f + s * (2.26843463243900e-03f + s * (1.18534705686654e-04f + s * 1.19825839466702e-06f));
      z[i] = v * (4.89352455891786e-03f + s * (6.37261928875436e-04f + s * p)) / q;
    }
  }

  /** The logistic function, as {@code tanh(x / 2) / 2 + 1 / 2}. */
  static void sigmoid(float[] x, float[] z) {
    for (int i = 0; i < z.length; i++) {
      float v = Math.max(-9f, Math.min(9f, 0.5f * x[i]));
      float s = v * v;
      float p = 1.48572235717979e-05f + s * (5.12229709037114e-08f + s * (-8.60467152213735e-11f + s * (2.00018790482477e-13f + s * -2.76076847742355e-16f)));
      float q = 4.89352518554385e-03f + s * (2.26843463243900e-03f + s * (1.18534705686654e-04f + s * 1.19825839466702e-06f));
      z[i] = 0.5f + 0.5f * (v * (4.89352455891786e-03f + s * (6.37261928875436e-04f + s * p)) / q);
    }
  }

  /** The rest of the logistic function when tanh has been taken of half of its argument. */
  static void halfUp(float[] x, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = 0.5f + 0.5f * x[i];
    }
  }

  /** {@link #halfUp} of the first array times the second, in one pass. */
  static void gate(float[] x, float[] y, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = (0.5f + 0.5f * x[i]) * y[i];
    }
  }

  static void relu(float[] x, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = Math.max(0f, x[i]);
    }
  }

  static void hardSigmoid(float[] x, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = Math.max(0f, Math.min(1f, x[i] * (1f / 6) + 0.5f));
    }
  }

  static void add(float[] x, float[] y, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = x[i] + y[i];
    }
  }

  static void subtract(float[] x, float[] y, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = x[i] - y[i];
    }
  }

  static void multiply(float[] x, float[] y, float[] z) {
    for (int i = 0; i < z.length; i++) {
      z[i] = x[i] * y[i];
    }
  }
}
