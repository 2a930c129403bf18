package io.kbridge.plan.onednn;

import io.kbridge.plan.machine.TileAxis;

/**
 * One axis of a form of Winograd's algorithm: how long tiles are along it, and at which points polynomials are evaluated. Points are such that rounding
 * errors are small, and they and their squares are exact. Those of six numbers are oneDNN's (with 1 and 2 for them, as in Lavin and Gray's paper, errors
 * are a few times larger); those of nine were looked for: errors are 1.5 times those of 4x4 results from 6x6, and with zero as a ninth point, for four
 * results, they would be twice.
 */
enum WinogradAxis {
  /** An axis along which the kernel has one number: nothing is transformed. */
  NONE(1, 1),

  /** Four numbers of a result from six of the image, for kernels of three. */
  FOUR_BY_THREE(4, 3, 0, 0.625, -0.625, 1.5, -1.5),

  /** Two numbers from four, for kernels of three. */
  TWO_BY_THREE(2, 3, 0, 1, -1),

  /** Two numbers from six, for kernels of five. */
  TWO_BY_FIVE(2, 5, 0, 0.625, -0.625, 1.5, -1.5),

  /** Three numbers from nine, for kernels of seven. */
  THREE_BY_SEVEN(3, 7, 0.25, -0.25, 0.6875, -0.6875, 1.09375, -1.09375, 2.25, -2.25);

  private final int side;
  private final int kernel;
  private final double[] points;

  WinogradAxis(int side, int kernel, double... points) {
    this.side = side;
    this.kernel = kernel;
    this.points = points;
  }

  /** Returns how many numbers of a result each tile has. */
  int side() {
    return side;
  }

  /** Returns how many numbers kernels have. */
  int kernel() {
    return kernel;
  }

  /** Returns how many numbers of the image a tile is computed from: one for each point, and for infinity. */
  int span() {
    return side + kernel - 1;
  }

  /** Returns the points but infinity, which is always one of them. */
  double[] points() {
    return points.clone();
  }

  /** Returns what writes the code of its transforms. */
  TileAxis tile() {
    return new TileAxis(side, points);
  }
}
