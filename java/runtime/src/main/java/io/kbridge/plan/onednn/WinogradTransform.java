package io.kbridge.plan.onednn;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.EnumSet;
import java.util.Set;

/** The transforms of Winograd's algorithm, a row of tiles at a time. Arrays are in native memory, work is done in Java's. */
final class WinogradTransform {
  private static final long MOST_WARMING_NS = 400_000_000;
  // NB: for each number of the tiles; compiled loops take 0.3 to 0.5, with one that is not more than 10.
  private static final double COMPILED_NS = 0.8;
  private static final int WARMING_CHANNELS = 128;
  private static final Set<WinogradForm> WARM = EnumSet.noneOf(WinogradForm.class);

  private final Tiles tiles;
  private final WinogradImage image;
  private final WinogradResult result;

  /**
   * Prepares the work.
   *
   * @param tiles how images are cut
   * @param x the images
   * @param spread where their transforms go, one matrix of tiles and channels for each position
   * @param products the products, one matrix of tiles and filters for each position
   * @param z where the result goes
   * @param shift what is added to each filter, or null
   * @param cuts whether nothing is to be below zero
   */
  WinogradTransform(Tiles tiles, FloatBuffer x, FloatBuffer spread, FloatBuffer products, FloatBuffer z, float[] shift, boolean cuts) {
    this.tiles = tiles;
    this.image = new WinogradImage(tiles, x, spread);
    this.result = new WinogradResult(tiles, products, z, shift, cuts);
  }

  /**
   * Runs the transforms of a form until the JVM has compiled them, for at most 0.4 seconds, once: what is timed before that says nothing about later
   * runs.
   */
  static synchronized void warmUp(WinogradForm form) {
    if (!WARM.add(form)) {
      return;
    }
    long[] shape = {1, 14, 14, WARMING_CHANNELS};
    Tiles small = new Tiles(form, shape, shape, new long[] {form.down().kernel() / 2, form.across().kernel() / 2}, 1, 1);
    WinogradTransform transform =
        new WinogradTransform(
            small, zeros(small.imageNumbers()), zeros(small.spread()), zeros(small.products()), zeros(small.resultNumbers()),
            new float[WARMING_CHANNELS], true);
    long start = System.nanoTime();
    long time = Long.MAX_VALUE;
    while (time > COMPILED_NS * small.spread() && System.nanoTime() - start < MOST_WARMING_NS) {
      long now = System.nanoTime();
      transform.spread(0, 0, small.portion());
      transform.gather(0, 0, small.portion());
      time = System.nanoTime() - now;
    }
  }

  private static FloatBuffer zeros(long count) {
    return ByteBuffer.allocateDirect(Math.toIntExact(count * Float.BYTES)).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  /**
   * Transforms some rows of tiles of the images.
   *
   * @param first the first row of the portion
   * @param start the first row to transform, counted from there
   * @param end the row after the last
   */
  void spread(int first, int start, int end) {
    for (int row = start; row < end; row++) {
      image.run(first + row, row * tiles.columns());
    }
  }

  /** Transforms the products of some rows of tiles to the result. */
  void gather(int first, int start, int end) {
    for (int row = start; row < end; row++) {
      result.run((first + row) / tiles.rows(), (first + row) % tiles.rows(), row * tiles.columns());
    }
  }
}
