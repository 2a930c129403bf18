package io.kbridge.plan.onednn;

import java.nio.FloatBuffer;

/**
 * Transforms products of Winograd's algorithm to results: first along the height, then along the width, then rows are put together. Windows of a pooling
 * lie within tiles; what they let pass is found before rows are put together, and before anything is added, which changes nothing about what is largest.
 */
final class WinogradResult {
  private final Tiles tiles;
  private final WinogradAxis down;
  private final WinogradAxis across;
  private final int filters;
  private final int pool;
  private final FloatBuffer products;
  private final FloatBuffer z;
  private final Stretch stretch;
  // NB: one after the other: what is read, rows of it that are transformed along the height, as many of them as windows have rows, transformed along the
  // width, and the shift.
  private final float[][] lines;
  private final int rows;
  private final int finished;
  private final int shift;
  private final boolean shifts;
  private final boolean cuts;
  private final float[] line;

  /**
   * Prepares the work.
   *
   * @param tiles how images are cut
   * @param products the products, one matrix of tiles and filters for each position
   * @param z where the result goes
   * @param shift what is added to each filter, or null
   * @param cuts whether nothing is to be below zero
   */
  WinogradResult(Tiles tiles, FloatBuffer products, FloatBuffer z, float[] shift, boolean cuts) {
    this.tiles = tiles;
    this.down = tiles.form().down();
    this.across = tiles.form().across();
    this.filters = tiles.filters();
    this.pool = tiles.pool();
    this.products = products;
    this.z = z;
    this.stretch = new Stretch(tiles.columns(), filters);
    this.rows = down.span();
    this.finished = rows + down.side() * across.span();
    this.shift = finished + pool * across.side();
    this.lines = stretch.arrays(this.shift + 1);
    this.shifts = shift != null;
    this.cuts = cuts;
    this.line = new float[across.side() * stretch.tiles() * filters];
    for (int i = 0; shifts && i < stretch.tiles() * filters; i++) {
      lines[this.shift][i] = shift[i % filters];
    }
  }

  /**
   * Transforms the products of a row of tiles.
   *
   * @param sample the image
   * @param row the row of it
   * @param tile which of the tiles of {@code products} its first one is
   */
  void run(int sample, int row, int tile) {
    for (int i = 0; i < stretch.count(); i++) {
      down(i, tile + stretch.start(i));
      for (int at = 0; at < down.side() && down.side() * row + at + pool <= tiles.outHeight(); at += pool) {
        write(sample * tiles.resultHeight() + (down.side() * row + at) / pool, i, across(i, at));
      }
    }
  }

  private void down(int which, int tile) {
    for (int at = 0; at < across.span(); at++) {
      if (down == WinogradAxis.NONE) {
        read(at, which, tile, lines[rows + at]);
        continue;
      }
      for (int i = 0; i < down.span(); i++) {
        read(i * across.span() + at, which, tile, lines[i]);
      }
      down.result(lines, 0, 1, lines, rows + at, across.span());
    }
  }

  private void read(int position, int which, int tile, float[] into) {
    products.position((position * tiles.count() + tile) * filters);
    products.get(into, 0, stretch.tiles(which) * filters);
  }

  /** Transforms as many rows along the width as windows have, and returns the one that they become. */
  private float[] across(int which, int at) {
    if (across == WinogradAxis.NONE) {
      finish(lines[rows + at]);
      return lines[rows + at];
    }
    for (int i = 0; i < pool; i++) {
      across.result(lines, rows + (at + i) * across.span(), 1, lines, finished + i * across.side(), 1);
    }
    int side = across.side() / pool;
    for (int i = 0; i < side; i++) {
      if (pool > 1) {
        int first = finished + 2 * i;
        int second = first + across.side();
        WinogradLoops.largest(lines[first], lines[first + 1], lines[second], lines[second + 1], lines[finished + i]);
      }
      float[] numbers = lines[finished + i];
      finish(numbers);
      for (int tile = 0; tile < stretch.tiles(which); tile++) {
        System.arraycopy(numbers, tile * filters, line, (side * tile + i) * filters, filters);
      }
    }
    return line;
  }

  private void finish(float[] numbers) {
    if (cuts) {
      WinogradLoops.shiftAndCut(lines[shift], numbers);
    } else if (shifts) {
      WinogradLoops.shift(lines[shift], numbers);
    }
  }

  private void write(int row, int which, float[] numbers) {
    int side = across.side() / pool;
    int start = side * stretch.start(which);
    int end = Math.min(start + side * stretch.tiles(which), tiles.resultWidth());
    z.position((row * tiles.resultWidth() + start) * filters);
    z.put(numbers, 0, (end - start) * filters);
  }
}
