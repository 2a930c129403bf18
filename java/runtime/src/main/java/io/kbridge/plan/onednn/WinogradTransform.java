package io.kbridge.plan.onednn;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Set;

/** The transforms of Winograd's algorithm, a row of tiles at a time. Arrays are in native memory, work is done in Java's. */
final class WinogradTransform {
  private static final long MOST_WARMING_NS = 400_000_000;
  // NB: for each number of the tiles; compiled loops take 0.3 to 0.4, with all but one of them compiled as long as 0.6, interpreted ones 100.
  private static final double COMPILED_NS = 0.5;
  private static final int WARMING_CHANNELS = 128;
  private static final Set<WinogradForm> WARM = EnumSet.noneOf(WinogradForm.class);

  private final Tiles tiles;
  private final Image image;
  private final Result result;

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
    this.image = new Image(tiles, x, spread);
    this.result = new Result(tiles, products, z, shift, cuts);
  }

  /**
   * Runs the transforms of a form until the JVM has compiled them, for at most 0.4 seconds, once: what is timed before that says nothing about later
   * runs.
   */
  static synchronized void warmUp(WinogradForm form) {
    if (!WARM.add(form)) {
      return;
    }
    long before = form.kernel() / 2;
    long[] shape = {1, 14, 14, WARMING_CHANNELS};
    Tiles small = new Tiles(form, shape, shape, new long[] {before, before}, 1);
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

  /** Takes one array of each row. */
  private static float[][] column(float[][][] rows, int at, float[][] into) {
    for (int i = 0; i < into.length; i++) {
      into[i] = rows[i][at];
    }
    return into;
  }

  /** First each row of an image along its width, then as many such rows as a tile has along the height; rows that the next tiles need again are kept. */
  private static final class Image {
    private final Tiles tiles;
    private final WinogradForm form;
    private final int side;
    private final int span;
    private final FloatBuffer x;
    private final FloatBuffer spread;
    private final float[] line;
    private final float[][] columns;
    private final float[][][] rows;
    private final float[][] column;
    private final float[][] finished;
    // NB: of this run, where the next row follows on it: each run begins with the first row that this object ever transforms.
    private int last = -2;

    Image(Tiles tiles, FloatBuffer x, FloatBuffer spread) {
      this.tiles = tiles;
      this.form = tiles.form();
      this.side = form.side();
      this.span = form.span();
      this.x = x;
      this.spread = spread;
      int size = tiles.columns() * tiles.channels();
      this.line = new float[(side * tiles.columns() + span - side) * tiles.channels()];
      this.columns = new float[span][size];
      this.rows = new float[span][span][size];
      this.column = new float[span][];
      this.finished = new float[span][size];
    }

    /** Transforms a row of tiles. */
    void run(int allRow, int tile) {
      int sample = allRow / tiles.rows();
      int row = allRow % tiles.rows();
      int kept = row > 0 && allRow == last + 1 ? span - side : 0;
      last = allRow;
      for (int i = 0; i < kept; i++) {
        float[][] old = rows[i];
        rows[i] = rows[side + i];
        rows[side + i] = old;
      }
      for (int i = kept; i < span; i++) {
        transform(sample, side * row - tiles.top() + i, rows[i]);
      }
      for (int at = 0; at < span; at++) {
        form.image(WinogradTransform.column(rows, at, column), finished);
        for (int i = 0; i < span; i++) {
          spread.position(((i * span + at) * tiles.count() + tile) * tiles.channels());
          spread.put(finished[i]);
        }
      }
    }

    private void transform(int sample, int y, float[][] into) {
      if (y < 0 || y >= tiles.height()) {
        for (float[] one : into) {
          Arrays.fill(one, 0f);
        }
        return;
      }
      int channels = tiles.channels();
      int start = tiles.left() * channels;
      // NB: less than the whole row if no window reaches its end.
      int length = Math.min(tiles.width() * channels, line.length - start);
      x.position((sample * tiles.height() + y) * tiles.width() * channels);
      x.get(line, start, length);
      for (int i = 0; i < span; i++) {
        for (int column = 0; column < tiles.columns(); column++) {
          System.arraycopy(line, (side * column + i) * channels, columns[i], column * channels, channels);
        }
      }
      form.image(columns, into);
    }
  }

  /** First the products along the height, then along the width, then rows are put together. */
  private static final class Result {
    private final Tiles tiles;
    private final WinogradForm form;
    private final int side;
    private final int span;
    private final FloatBuffer products;
    private final FloatBuffer z;
    private final float[][] read;
    private final float[][][] rows;
    private final float[][] column;
    private final float[][] finished;
    private final float[] line;
    private final float[] shift;
    private final boolean cuts;

    Result(Tiles tiles, FloatBuffer products, FloatBuffer z, float[] shift, boolean cuts) {
      this.tiles = tiles;
      this.form = tiles.form();
      this.side = form.side();
      this.span = form.span();
      this.products = products;
      this.z = z;
      int size = tiles.columns() * tiles.filters();
      this.read = new float[span][size];
      this.rows = new float[side][span][size];
      this.column = new float[side][];
      this.finished = new float[side][size];
      this.line = new float[side * size];
      this.cuts = cuts;
      this.shift = shift == null && !cuts ? null : new float[size];
      for (int i = 0; shift != null && i < size; i++) {
        this.shift[i] = shift[i % shift.length];
      }
    }

    void run(int sample, int row, int tile) {
      int filters = tiles.filters();
      for (int at = 0; at < span; at++) {
        for (int i = 0; i < span; i++) {
          products.position(((i * span + at) * tiles.count() + tile) * filters);
          products.get(read[i]);
        }
        form.result(read, WinogradTransform.column(rows, at, column));
      }
      for (int i = 0; i < side && side * row + i < tiles.outHeight(); i++) {
        form.result(rows[i], finished);
        for (int j = 0; j < side; j++) {
          finish(finished[j]);
          for (int column = 0; column < tiles.columns(); column++) {
            System.arraycopy(finished[j], column * filters, line, (side * column + j) * filters, filters);
          }
        }
        z.position((sample * tiles.outHeight() + side * row + i) * tiles.outWidth() * filters);
        z.put(line, 0, tiles.outWidth() * filters);
      }
    }

    private void finish(float[] numbers) {
      if (cuts) {
        WinogradLoops.shiftAndCut(shift, numbers);
      } else if (shift != null) {
        WinogradLoops.shift(shift, numbers);
      }
    }
  }
}
