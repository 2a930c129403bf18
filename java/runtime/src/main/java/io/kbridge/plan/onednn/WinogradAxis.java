package io.kbridge.plan.onednn;

/** One axis of a form of Winograd's algorithm: how long tiles are along it, at which points polynomials are evaluated, and the loops that do it. */
enum WinogradAxis {
  /** An axis along which the kernel has one number: nothing is transformed, nor asked to be. */
  NONE(1, 1, new double[0], null, null),

  /** Four numbers of a result from six of the image, for kernels of three. */
  FOUR_BY_THREE(4, 3, WinogradLoops.five(), WinogradLoops::sixOfImage, WinogradLoops::sixToFour),

  /** Two numbers from four, for kernels of three. */
  TWO_BY_THREE(2, 3, new double[] {0, 1, -1}, WinogradLoops::fourOfImage, WinogradLoops::fourToTwo),

  /** Two numbers from six, for kernels of five. */
  TWO_BY_FIVE(2, 5, WinogradLoops.five(), WinogradLoops::sixOfImage, WinogradLoops::sixToTwo),

  /** Three numbers from nine, for kernels of seven. */
  THREE_BY_SEVEN(3, 7, WinogradEight.points(), WinogradEight::ofImage, WinogradEight::toThree);

  private final int side;
  private final int kernel;
  private final double[] points;
  private final Pass image;
  private final Pass result;

  WinogradAxis(int side, int kernel, double[] points, Pass image, Pass result) {
    this.side = side;
    this.kernel = kernel;
    this.points = points;
    this.image = image;
    this.result = result;
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

  /** Returns how many numbers of the image belong to the next tile as well. */
  int overlap() {
    return kernel - 1;
  }

  /** Returns the points but infinity, which is always one of them. */
  double[] points() {
    return points.clone();
  }

  /** Transforms numbers of an image: as many arrays as a tile's span, to as many others. */
  void image(float[][] x, int from, int step, float[][] z, int to, int stride) {
    image.run(x, from, step, z, to, stride);
  }

  /** Transforms products, as many arrays as a tile's span, to numbers of the result, as many as a tile's side. May change the products. */
  void result(float[][] x, int from, int step, float[][] z, int to, int stride) {
    result.run(x, from, step, z, to, stride);
  }

  /** A transform. */
  private interface Pass {
    /**
     * Transforms arrays of numbers.
     *
     * @param x arrays, some of which are read
     * @param from which of them is the first one
     * @param step how many further on the next one is
     * @param z arrays, some others of which are written; may be {@code x}
     * @param to which of them is the first one
     * @param stride how many further on the next one is
     */
    void run(float[][] x, int from, int step, float[][] z, int to, int stride);
  }
}
