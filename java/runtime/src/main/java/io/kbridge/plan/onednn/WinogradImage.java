package io.kbridge.plan.onednn;

import java.nio.FloatBuffer;
import java.util.Arrays;

/**
 * Transforms images for Winograd's algorithm: first each row along the width, then as many such rows as a tile has along the height. Rows that the next
 * tiles need again are kept.
 */
final class WinogradImage {
  private final Tiles tiles;
  private final WinogradAxis down;
  private final WinogradAxis across;
  private final int channels;
  private final FloatBuffer x;
  private final FloatBuffer spread;
  private final Stretch stretch;
  private final float[] line;
  // NB: one after the other: a row's columns, its tiles' transformed rows, their transforms along the height, and for each stretch the rows to keep.
  private final float[][] lines;
  private final int rows;
  private final int finished;
  private final int kept;
  // NB: of this run, where the next row follows on it: each run begins with the first row that this object ever transforms.
  private int last = -2;

  /**
   * Prepares the work.
   *
   * @param tiles how images are cut
   * @param x the images
   * @param spread where their transforms go, one matrix of tiles and channels for each position
   */
  WinogradImage(Tiles tiles, FloatBuffer x, FloatBuffer spread) {
    this.tiles = tiles;
    this.down = tiles.form().down();
    this.across = tiles.form().across();
    this.channels = tiles.channels();
    this.x = x;
    this.spread = spread;
    this.stretch = new Stretch(tiles.columns(), channels);
    this.line = new float[(across.side() * stretch.tiles() + across.overlap()) * channels];
    this.rows = across.span();
    this.finished = rows + down.span() * across.span();
    this.kept = finished + down.span();
    this.lines = stretch.arrays(kept(stretch.count()));
  }

  /**
   * Transforms a row of tiles.
   *
   * @param allRow the row, counted through all images
   * @param tile which of the tiles of {@code spread} its first one is
   */
  void run(int allRow, int tile) {
    int sample = allRow / tiles.rows();
    int row = allRow % tiles.rows();
    int known = row > 0 && allRow == last + 1 ? down.overlap() : 0;
    last = allRow;
    for (int i = 0; i < stretch.count(); i++) {
      for (int at = 0; at < known * across.span(); at++) {
        swap(rows + at, kept(i) + at);
      }
      for (int at = known; at < down.span(); at++) {
        across(sample, down.side() * row - tiles.top() + at, i, rows + at * across.span());
      }
      down(i, tile + stretch.start(i));
      for (int at = 0; at < down.overlap() * across.span(); at++) {
        swap(rows + down.side() * across.span() + at, kept(i) + at);
      }
    }
  }

  private int kept(int which) {
    return kept + which * down.overlap() * across.span();
  }

  private void swap(int one, int other) {
    float[] held = lines[one];
    lines[one] = lines[other];
    lines[other] = held;
  }

  /** Transforms a stretch of a row of the image along the width. */
  private void across(int sample, int y, int which, int into) {
    if (y < 0 || y >= tiles.height()) {
      for (int i = 0; i < across.span(); i++) {
        Arrays.fill(lines[into + i], 0f);
      }
      return;
    }
    int row = sample * tiles.height() + y;
    int count = stretch.tiles(which);
    if (across == WinogradAxis.NONE) {
      read(row, stretch.start(which) - tiles.left(), count, lines[into]);
      return;
    }
    read(row, across.side() * stretch.start(which) - tiles.left(), across.side() * count + across.overlap(), line);
    part(count);
    across.image(lines, 0, 1, lines, into, 1);
  }

  /** Takes what has the same place in each of some tiles out of a line. */
  private void part(int count) {
    int side = across.side();
    for (int i = 0; i < side; i++) {
      for (int tile = 0; tile < count; tile++) {
        System.arraycopy(line, (side * tile + i) * channels, lines[i], tile * channels, channels);
      }
    }
    for (int i = side; i < across.span(); i++) {
      // NB: it lies in the next tile as well, for all but the last.
      System.arraycopy(lines[i - side], channels, lines[i], 0, (count - 1) * channels);
      System.arraycopy(line, (side * (count - 1) + i) * channels, lines[i], (count - 1) * channels, channels);
    }
  }

  /** Reads pixels of a row of all images; what lies beyond its ends is zero. */
  private void read(int row, int first, int count, float[] into) {
    int start = Math.min(Math.max(first, 0), first + count);
    int end = Math.max(start, Math.min(first + count, tiles.width()));
    Arrays.fill(into, 0, (start - first) * channels, 0f);
    x.position((row * tiles.width() + Math.min(start, tiles.width())) * channels);
    x.get(into, (start - first) * channels, (end - start) * channels);
    Arrays.fill(into, (end - first) * channels, count * channels, 0f);
  }

  /** Transforms a stretch of rows along the height. */
  private void down(int which, int tile) {
    for (int at = 0; at < across.span(); at++) {
      if (down == WinogradAxis.NONE) {
        write(lines[rows + at], at, which, tile);
        continue;
      }
      down.image(lines, rows + at, across.span(), lines, finished, 1);
      for (int i = 0; i < down.span(); i++) {
        write(lines[finished + i], i * across.span() + at, which, tile);
      }
    }
  }

  private void write(float[] numbers, int position, int which, int tile) {
    spread.position((position * tiles.count() + tile) * channels);
    spread.put(numbers, 0, stretch.tiles(which) * channels);
  }
}
