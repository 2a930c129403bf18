package io.kbridge.plan.onednn;

import io.kbridge.plan.machine.PanelShape;
import java.nio.FloatBuffer;

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
}
