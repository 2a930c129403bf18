package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;

/**
 * How much each input position counts for each output position when an axis is resized, after TensorFlow: positions are centres
 * of pixels, and weights that would fall outside are shared among those inside.
 */
final class ResizeWeights {
  private static final int TABLE = 1024;

  private ResizeWeights() {}

  /** A kernel's value at a distance. */
  @FunctionalInterface
  private interface Curve {
    double at(double distance);
  }

  /**
   * Makes the weights.
   *
   * @param context the node, for messages
   * @param method Keras's name of the interpolation
   * @param antialias whether a downscale takes all pixels it covers
   * @param in size of the axis
   * @param out its new size
   * @return one row for each output position
   */
  static double[][] of(OpContext context, String method, boolean antialias, int in, int out) {
    switch (method) {
      case "bilinear":
        return antialias ? spans(d -> Math.max(0, 1 - d), 1, true, in, out) : bilinear(in, out);
      case "bicubic":
        return antialias ? spans(ResizeWeights::cubic, 2, true, in, out) : bicubic(in, out);
      case "lanczos3":
        return spans(d -> lanczos(d, 3), 3, antialias, in, out);
      case "lanczos5":
        return spans(d -> lanczos(d, 5), 5, antialias, in, out);
      default:
        throw Kernel.unsupported(context, "interpolation nearest, bilinear, bicubic, lanczos3 or lanczos5", method);
    }
  }

  private static float position(int i, int in, int out) {
    float scale = (float) in / out;
    return (i + 0.5f) * scale - 0.5f;
  }

  private static double[][] bilinear(int in, int out) {
    double[][] weights = new double[out][in];
    for (int i = 0; i < out; i++) {
      float at = position(i, in, out);
      int low = (int) Math.max(0, Math.floor(at));
      int high = (int) Math.min(in - 1, Math.ceil(at));
      double share = at - Math.floor(at);
      weights[i][low] += 1 - share;
      weights[i][high] += share;
    }
    return weights;
  }

  /** Cubic weights for distances rounded to 1/1024, as TensorFlow's table has them. */
  private static double[][] bicubic(int in, int out) {
    double[][] weights = new double[out][in];
    for (int i = 0; i < out; i++) {
      float at = position(i, in, out);
      int base = (int) Math.floor(at);
      double share = Math.rint((at - base) * TABLE) / TABLE;
      double[] four = {cubic(1 + share), cubic(share), cubic(1 - share), cubic(2 - share)};
      double sum = 0;
      for (int j = 0; j < 4; j++) {
        sum += inside(base - 1 + j, in) ? four[j] : 0;
      }
      for (int j = 0; j < 4; j++) {
        if (inside(base - 1 + j, in)) {
          weights[i][base - 1 + j] += four[j] / sum;
        }
      }
    }
    return weights;
  }

  private static boolean inside(int i, int size) {
    return i >= 0 && i < size;
  }

  private static double[][] spans(Curve curve, double radius, boolean antialias, int in, int out) {
    double[][] weights = new double[out][in];
    double ratio = 1 / ((double) out / in);
    double stretch = antialias ? Math.max(ratio, 1) : 1;
    for (int i = 0; i < out; i++) {
      double centre = (i + 0.5) * ratio;
      int start = (int) Math.max(0, Math.ceil(centre - radius * stretch - 0.5));
      int end = (int) Math.min(in - 1, Math.floor(centre + radius * stretch - 0.5));
      double sum = 0;
      for (int j = start; j <= end; j++) {
        weights[i][j] = curve.at(Math.abs(j + 0.5 - centre) / stretch);
        sum += weights[i][j];
      }
      for (int j = start; j <= end; j++) {
        weights[i][j] /= sum;
      }
    }
    return weights;
  }

  private static double cubic(double d) {
    if (d >= 2) {
      return 0;
    }
    return d >= 1 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : (1.5 * d - 2.5) * d * d + 1;
  }

  private static double lanczos(double d, double radius) {
    if (d > radius) {
      return 0;
    }
    if (d <= 1e-3) {
      return 1;
    }
    return radius * Math.sin(Math.PI * d) * Math.sin(Math.PI * d / radius) / (Math.PI * Math.PI * d * d);
  }
}
