package io.kbridge.plan.onednn;

import java.util.function.BiConsumer;

/**
 * The forms of Winograd's algorithm that there is code for: how large its tiles are, at which points its polynomials are evaluated, and how numbers
 * are transformed along one axis. Infinity is one of the points, always.
 */
enum WinogradForm {
  /** Results of 4x4 from tiles of 6x6: the fewest products. With fewer tiles than that, to read kernels is what takes the time, and the memory. */
  FOUR_BY_THREE(4, 3, 12, Integer.MAX_VALUE, WinogradForm.four(), WinogradLoops::sixOfImage, WinogradLoops::sixToFour),

  /** Results of 2x2 from tiles of 4x4: kernels of half the size, and less of a small image's tiles lies beyond its edges. For few tiles. */
  TWO_BY_THREE(2, 3, 1, 64, new double[] {0, 1, -1}, WinogradLoops::fourOfImage, WinogradLoops::fourToTwo),

  /** Results of 2x2 from tiles of 6x6, for larger kernels. */
  TWO_BY_FIVE(2, 5, 1, Integer.MAX_VALUE, WinogradForm.four(), WinogradLoops::sixOfImage, WinogradLoops::sixToTwo);

  private final int side;
  private final int kernel;
  private final int fewest;
  private final int most;
  private final double[] points;
  private final BiConsumer<float[][], float[][]> image;
  private final BiConsumer<float[][], float[][]> result;

  WinogradForm(
      int side, int kernel, int fewest, int most, double[] points, BiConsumer<float[][], float[][]> image, BiConsumer<float[][], float[][]> result) {
    this.side = side;
    this.kernel = kernel;
    this.fewest = fewest;
    this.most = most;
    this.points = points;
    this.image = image;
    this.result = result;
  }

  private static double[] four() {
    return new double[] {0, WinogradLoops.NEAR, -WinogradLoops.NEAR, WinogradLoops.FAR, -WinogradLoops.FAR};
  }

  /** Tells whether it is for kernels of a size. */
  boolean fits(long[] sizes) {
    return sizes.length == 2 && sizes[0] == kernel && sizes[1] == kernel;
  }

  /** Tells whether it may be the fastest way for so many tiles. */
  boolean isPlausible(int tiles) {
    return tiles >= fewest && tiles <= most;
  }

  /** Returns how many numbers of a result each tile has along an axis. */
  int side() {
    return side;
  }

  /** Returns how many numbers kernels have along an axis. */
  int kernel() {
    return kernel;
  }

  /** Returns how many numbers of the image a tile is computed from, along an axis. */
  int span() {
    return side + kernel - 1;
  }

  /** Returns how many products of matrices there are, one for each number that a tile is computed from. */
  int positions() {
    return span() * span();
  }

  /** Returns the points but infinity. */
  double[] points() {
    return points.clone();
  }

  /**
   * Transforms numbers of an image.
   *
   * @param x as many arrays as a tile's span
   * @param z as many other arrays, for the result
   */
  void image(float[][] x, float[][] z) {
    image.accept(x, z);
  }

  /**
   * Transforms products to numbers of the result.
   *
   * @param x as many arrays as a tile's span
   * @param z as many other arrays as a tile's side, for the result
   */
  void result(float[][] x, float[][] z) {
    result.accept(x, z);
  }

  @Override
  public String toString() {
    return "Winograd " + side + "x" + kernel;
  }
}
