package io.kbridge.plan.onednn;

import io.kbridge.plan.NativeArrays;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Kernels as Winograd's algorithm multiplies with them: one matrix of channels and filters for each position of a tile. */
final class WinogradKernel {
  private WinogradKernel() {}

  /**
   * Transforms a kernel, in double precision.
   *
   * @param form the form of the algorithm
   * @param kernel the kernel: rows, columns, channels, filters
   * @param affine what it is multiplied with
   * @param position which of the matrices is wanted
   * @return that matrix, row by row
   */
  static float[] transform(WinogradForm form, INDArray kernel, Affine affine, int position) {
    int channels = Math.toIntExact(kernel.size(2));
    int filters = Math.toIntExact(kernel.size(3));
    FloatBuffer from = new FloatPointer(NativeArrays.borrowed(kernel)).capacity(kernel.length()).asBuffer();
    float[] result = new float[channels * filters];
    double[] factors = factors(form, position);
    float[] row = new float[filters];
    double[] sum = new double[filters];
    for (int channel = 0; channel < channels; channel++) {
      Arrays.fill(sum, 0);
      for (int i = 0; i < factors.length; i++) {
        if (factors[i] != 0) {
          from.position((i * channels + channel) * filters);
          from.get(row);
          add(factors[i], row, sum);
        }
      }
      affine.scale(sum);
      round(sum, result, channel * filters);
    }
    return result;
  }

  /** Returns what the numbers of a kernel are multiplied with for a position. */
  private static double[] factors(WinogradForm form, int position) {
    double[] down = powers(form.down(), position / form.across().span());
    double[] across = powers(form.across(), position % form.across().span());
    double[] factors = new double[down.length * across.length];
    Arrays.setAll(factors, i -> down[i / across.length] * across[i % across.length]);
    return factors;
  }

  /** At a point the powers of it, over the product of its differences to all others but infinity. */
  private static double[] powers(WinogradAxis axis, int at) {
    double[] points = axis.points();
    double[] powers = new double[axis.kernel()];
    if (at == points.length) {
      powers[powers.length - 1] = 1;
      return powers;
    }
    powers[0] = 1;
    for (int i = 0; i < points.length; i++) {
      powers[0] /= i == at ? 1 : points[at] - points[i];
    }
    for (int i = 1; i < powers.length; i++) {
      powers[i] = powers[i - 1] * points[at];
    }
    return powers;
  }

  private static void add(double factor, float[] row, double[] sum) {
    for (int i = 0; i < sum.length; i++) {
      sum[i] += factor * row[i];
    }
  }

  private static void round(double[] numbers, float[] into, int at) {
    for (int i = 0; i < numbers.length; i++) {
      into[at + i] = (float) numbers[i];
    }
  }
}
