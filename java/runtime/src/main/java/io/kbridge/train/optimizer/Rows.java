package io.kbridge.train.optimizer;

import io.kbridge.plan.NativeArrays;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A gradient in rows during one step: unscaled, then clipped, then added up as what the update needs. */
final class Rows {
  private final float[] values;
  private final long[] starts;
  private final int width;
  private float[] magnitudes;
  private float[] sums;

  /**
   * Reads the rows.
   *
   * @param gradient the gradient
   * @param weight the weight's shape
   * @param scale what gradients are too large by
   */
  Rows(RowGradient gradient, long[] weight, float scale) {
    INDArray indices = gradient.indices();
    int count = (int) indices.length();
    width = (int) (NativeArrays.length(weight) / weight[0]);
    values = new float[count * width];
    if (values.length > 0) {
      new FloatPointer(NativeArrays.readable(gradient.rows())).get(values);
    }
    starts = new long[count];
    for (int k = 0; k < count; k++) {
      starts[k] = indices.getLong(k) * width;
    }
    if (scale != 1) {
      for (int i = 0; i < values.length; i++) {
        values[i] /= scale;
      }
    }
  }

  /** Sums the squares of all numbers. */
  double squares() {
    return ShapedFamily.squares(values, values.length);
  }

  /**
   * Clips the rows and adds up what the update needs of them.
   *
   * @param room memory of the weight's size with zeros, to be given back by {@link #clear}
   */
  void prepare(Stages stages, float[] clipping, Magnitude magnitude, float[] room) {
    stages.clip(values, values.length, clipping);
    // NB: clipped number by number, the rows no longer add up to what the clipped sum is.
    sums = stages.clipsValues() ? addUp(values, new float[room.length]) : null;
    float[] each = new float[values.length];
    magnitude.of(values, each, each.length);
    magnitudes = addUp(each, room);
  }

  private float[] addUp(float[] each, float[] into) {
    for (int k = 0; k < starts.length; k++) {
      int at = (int) starts[k];
      for (int j = 0; j < width; j++) {
        into[at + j] += each[k * width + j];
      }
    }
    return into;
  }

  /** Gives a range of the gradients, unless those at hand are right. */
  void gradients(float[] g, long from, int n) {
    if (sums != null) {
      System.arraycopy(sums, (int) from, g, 0, n);
    }
  }

  /** Tells whether the gradients that {@link #gradients} leaves are still to be clipped. */
  boolean leavesClipping() {
    return sums == null;
  }

  void magnitudes(float[] into, long from, int n) {
    System.arraycopy(magnitudes, (int) from, into, 0, n);
  }

  /** Puts zeros back. */
  void clear() {
    for (long start : starts) {
      java.util.Arrays.fill(magnitudes, (int) start, (int) start + width, 0);
    }
  }
}
