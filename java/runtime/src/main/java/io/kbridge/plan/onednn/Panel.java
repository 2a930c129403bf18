package io.kbridge.plan.onednn;

import io.kbridge.plan.machine.PanelShape;
import java.nio.FloatBuffer;
import java.nio.ShortBuffer;

/** Matrices cut into panels, as machine code of ours multiplies with them. */
final class Panel {
  private Panel() {}

  /**
   * Puts the columns of each panel together, the numbers of one channel after those of the one before.
   *
   * @param given the matrix, row by row
   * @param channels how many rows it has
   * @param packed where the panels go, one after the other
   */
  static void pack(float[] given, int channels, FloatBuffer packed) {
    int filters = given.length / channels;
    int most = PanelShape.WIDTH * PanelShape.VECTOR;
    for (int column = 0; column < filters; column += most) {
      for (int channel = 0; channel < channels; channel++) {
        packed.put(given, channel * filters + column, Math.min(most, filters - column));
      }
    }
  }

  /** Does the same with numbers rounded to bfloat16, those of two channels in turn. */
  static void packHalf(float[] given, int channels, ShortBuffer packed) {
    int filters = given.length / channels;
    int most = PanelShape.WIDTH * PanelShape.VECTOR;
    short[] pairs = new short[2 * most];
    for (int column = 0; column < filters; column += most) {
      int width = Math.min(most, filters - column);
      for (int channel = 0; channel < channels; channel += 2) {
        for (int i = 0; i < width; i++) {
          int at = channel * filters + column + i;
          pairs[2 * i] = half(given[at]);
          pairs[2 * i + 1] = half(given[at + filters]);
        }
        packed.put(pairs, 0, 2 * width);
      }
    }
  }

  /** Rounds a finite number to the nearest bfloat16 one, and to the even one of two that are as near. */
  private static short half(float number) {
    int bits = Float.floatToRawIntBits(number);
    return (short) (bits + 0x7FFF + (bits >> 16 & 1) >> 16);
  }
}
