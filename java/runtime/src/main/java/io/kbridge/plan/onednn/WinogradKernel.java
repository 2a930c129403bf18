package io.kbridge.plan.onednn;

import java.util.Arrays;
import org.bytedeco.javacpp.FloatPointer;

/** Kernels of 3x3 as Winograd's algorithm F(4x4, 3x3) multiplies with them: one matrix of channels and filters for each position of a tile. */
final class WinogradKernel {
  private static final int SIDE = 3;
  private static final double[][] TRANSFORM = transform();

  private final float[] kernel;
  private final int channels;
  private final int filters;
  private final double[][] rows;
  private final double[] sum;

  private WinogradKernel(float[] kernel, int channels, int filters) {
    this.kernel = kernel;
    this.channels = channels;
    this.filters = filters;
    this.rows = new double[SIDE * SIDE][filters];
    this.sum = new double[filters];
  }

  /** At each point the powers of it, over the product of its differences to all others but infinity. */
  private static double[][] transform() {
    double[] points = {0, WinogradLoops.NEAR, -WinogradLoops.NEAR, WinogradLoops.FAR, -WinogradLoops.FAR};
    double[][] rows = new double[Tiles.SPAN][];
    for (int i = 0; i < points.length; i++) {
      double product = 1;
      for (int j = 0; j < points.length; j++) {
        product *= i == j ? 1 : points[i] - points[j];
      }
      rows[i] = new double[] {1 / product, points[i] / product, points[i] * points[i] / product};
    }
    rows[points.length] = new double[] {0, 0, 1};
    return rows;
  }

  /**
   * Transforms a kernel, in double precision.
   *
   * @param kernel the kernel: rows, columns, channels, filters
   * @param channels how many channels it has
   * @param filters how many filters it has
   * @return the matrices; the caller closes it
   */
  static FloatPointer transform(float[] kernel, int channels, int filters) {
    FloatPointer result = new FloatPointer((long) Tiles.POSITIONS * channels * filters);
    new WinogradKernel(kernel, channels, filters).run(result);
    return result;
  }

  private void run(FloatPointer result) {
    float[] row = new float[filters];
    for (int channel = 0; channel < channels; channel++) {
      read(channel);
      for (int position = 0; position < Tiles.POSITIONS; position++) {
        combine(TRANSFORM[position / Tiles.SPAN], TRANSFORM[position % Tiles.SPAN]);
        for (int i = 0; i < filters; i++) {
          row[i] = (float) sum[i];
        }
        result.position(((long) position * channels + channel) * filters);
        result.put(row, 0, filters);
      }
    }
    result.position(0);
  }

  private void read(int channel) {
    for (int i = 0; i < rows.length; i++) {
      int start = (i * channels + channel) * filters;
      for (int j = 0; j < filters; j++) {
        rows[i][j] = kernel[start + j];
      }
    }
  }

  private void combine(double[] down, double[] across) {
    Arrays.fill(sum, 0);
    for (int i = 0; i < rows.length; i++) {
      double factor = down[i / SIDE] * across[i % SIDE];
      if (factor != 0) {
        double[] row = rows[i];
        for (int j = 0; j < sum.length; j++) {
          sum[j] += factor * row[j];
        }
      }
    }
  }
}
