package io.kbridge.plan.onednn;

/**
 * How a row of tiles is cut into stretches of neighbours, all channels of each, so that the arrays that {@link WinogradLoops} goes through stay in the
 * first-level cache. Immutable.
 */
final class Stretch {
  // NB: shorter ones pay more for what each loop does before and after its vectors, longer ones leave the cache; measured with 64 to 512 channels.
  private static final int NUMBERS = 1024;

  // NB: of 64 bytes, a line of the cache and the longest vector, without the 16 in front of an array's numbers.
  private static final int VECTOR = 16;
  private static final int FILLED = 12;

  private final int columns;
  private final int channels;
  private final int tiles;

  /**
   * Cuts rows.
   *
   * @param columns how many tiles a row has
   * @param channels how many numbers each tile has at each position
   */
  Stretch(int columns, int channels) {
    this.columns = columns;
    this.channels = channels;
    int most = Math.max(1, Math.min(columns, NUMBERS / channels));
    int count = (columns + most - 1) / most;
    this.tiles = (columns + count - 1) / count;
  }

  /** Returns how many stretches a row has. */
  int count() {
    return (columns + tiles - 1) / tiles;
  }

  /** Returns the first tile of a stretch. */
  int start(int which) {
    return which * tiles;
  }

  /** Returns how many tiles all stretches have but the last, which may have fewer. */
  int tiles() {
    return tiles;
  }

  /** Returns how many tiles a stretch has. */
  int tiles(int which) {
    return Math.min(tiles, columns - start(which));
  }

  /**
   * Returns arrays with room for a number of each tile and channel of a stretch. Arrays that were made together lie one behind the other. Their length
   * lets all of them begin at the same place of a line of the cache, so that a vector that is aligned in one is so in all; otherwise each second access
   * is to two lines, and loops take 0.09 ns for a number instead of 0.035.
   *
   * @param arrays how many
   */
  float[][] arrays(int arrays) {
    return new float[arrays][(tiles * channels + VECTOR - 1 - FILLED) / VECTOR * VECTOR + FILLED];
  }
}
