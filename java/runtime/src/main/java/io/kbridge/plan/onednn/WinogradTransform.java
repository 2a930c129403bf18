package io.kbridge.plan.onednn;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntFunction;

/** The transforms of Winograd's algorithm, a row of tiles at a time. Arrays are in native memory, work is done in Java's. */
final class WinogradTransform {
  private static final long MOST_WARMING_NS = 250_000_000;
  // NB: for each number of the images; compiled loops take less, interpreted ones ten times as long.
  private static final double COMPILED_NS = 3;
  private static final int SIDE = Tiles.SIDE;
  private static final int SPAN = Tiles.SPAN;
  private static boolean isWarm;

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
   * Runs the transforms until the JVM has compiled them, for at most a quarter of a second, once: what is timed before that says nothing about later
   * runs.
   */
  static synchronized void warmUp() {
    if (isWarm) {
      return;
    }
    isWarm = true;
    Tiles small = new Tiles(new long[] {1, 14, 14, 32}, new long[] {1, 14, 14, 32}, new long[] {1, 1});
    WinogradTransform transform =
        new WinogradTransform(
            small, zeros(small.imageNumbers()), zeros(small.spread()), zeros(small.products()), zeros(small.resultNumbers()), new float[32], true);
    long start = System.nanoTime();
    long time = Long.MAX_VALUE;
    while (time > COMPILED_NS * small.imageNumbers() && System.nanoTime() - start < MOST_WARMING_NS) {
      long before = System.nanoTime();
      transform.spread();
      transform.gather();
      time = System.nanoTime() - before;
    }
  }

  private static FloatBuffer zeros(long count) {
    return ByteBuffer.allocateDirect(Math.toIntExact(count * Float.BYTES)).order(ByteOrder.nativeOrder()).asFloatBuffer();
  }

  /** Transforms the images. */
  void spread() {
    for (int row = 0; row < tiles.allRows(); row++) {
      image.run(row / tiles.rows(), row % tiles.rows(), row * tiles.columns());
    }
  }

  /** Transforms the products to the result. */
  void gather() {
    for (int row = 0; row < tiles.allRows(); row++) {
      result.run(row / tiles.rows(), row % tiles.rows(), row * tiles.columns());
    }
  }

  private static List<List<Runnable>> each(int count, IntFunction<List<Runnable>> make) {
    List<List<Runnable>> all = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      all.add(make.apply(i));
    }
    return all;
  }

  /** Takes one number of each pair of indices in another order. */
  private static float[][] column(float[][][] from, int at) {
    return Arrays.stream(from).map(row -> row[at]).toArray(float[][]::new);
  }

  private static void run(List<Runnable> work) {
    for (int i = 0; i < work.size(); i++) {
      work.get(i).run();
    }
  }

  /** First each row of an image along its width, then six such rows along the height; rows that the next tiles need again are kept. */
  private static final class Image {
    private final Tiles tiles;
    private final FloatBuffer x;
    private final FloatBuffer spread;
    private final int size;
    private final float[] line;
    private final float[][] columns;
    private final float[][][] rows;
    private final float[][] finished;
    private final List<List<Runnable>> across;
    private final List<List<Runnable>> down;

    Image(Tiles tiles, FloatBuffer x, FloatBuffer spread) {
      this.tiles = tiles;
      this.x = x;
      this.spread = spread;
      this.size = tiles.columns() * tiles.channels();
      this.line = new float[(SIDE * tiles.columns() + SPAN - SIDE) * tiles.channels()];
      this.columns = new float[SPAN][size];
      this.rows = new float[SPAN][SPAN][size];
      this.finished = new float[SPAN][size];
      this.across = each(SPAN, row -> WinogradLoops.image(columns, rows[row]));
      this.down = each(SPAN, at -> WinogradLoops.image(column(rows, at), finished));
    }

    /** Transforms a row of tiles, of which the row above it was the last one. */
    void run(int sample, int row, int tile) {
      int kept = row > 0 ? SPAN - SIDE : 0;
      for (int i = 0; i < kept; i++) {
        for (int at = 0; at < SPAN; at++) {
          System.arraycopy(rows[SIDE + i][at], 0, rows[i][at], 0, size);
        }
      }
      for (int i = kept; i < SPAN; i++) {
        transform(sample, SIDE * row - tiles.top() + i, i);
      }
      for (int at = 0; at < SPAN; at++) {
        WinogradTransform.run(down.get(at));
        for (int i = 0; i < SPAN; i++) {
          spread.position(((i * SPAN + at) * tiles.count() + tile) * tiles.channels());
          spread.put(finished[i]);
        }
      }
    }

    private void transform(int sample, int y, int into) {
      if (y < 0 || y >= tiles.height()) {
        for (float[] one : rows[into]) {
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
      for (int i = 0; i < SPAN; i++) {
        for (int column = 0; column < tiles.columns(); column++) {
          System.arraycopy(line, (SIDE * column + i) * channels, columns[i], column * channels, channels);
        }
      }
      WinogradTransform.run(across.get(into));
    }
  }

  /** First six products along the height, then along the width, then rows are put together. */
  private static final class Result {
    private final Tiles tiles;
    private final FloatBuffer products;
    private final FloatBuffer z;
    private final int size;
    private final float[][] read;
    private final float[][][] rows;
    private final float[][] finished;
    private final float[] line;
    private final List<List<Runnable>> down;
    private final List<List<Runnable>> across;

    Result(Tiles tiles, FloatBuffer products, FloatBuffer z, float[] shift, boolean cuts) {
      this.tiles = tiles;
      this.products = products;
      this.z = z;
      this.size = tiles.columns() * tiles.filters();
      this.read = new float[SPAN][size];
      this.rows = new float[SIDE][SPAN][size];
      this.finished = new float[SIDE][size];
      this.line = new float[SIDE * size];
      this.down = each(SPAN, at -> WinogradLoops.result(read, column(rows, at)));
      this.across = each(SIDE, row -> finishing(row, shift, cuts));
    }

    private List<Runnable> finishing(int row, float[] shift, boolean cuts) {
      List<Runnable> work = new ArrayList<>(WinogradLoops.result(rows[row], finished));
      float[] repeated = new float[size];
      for (int i = 0; shift != null && i < size; i++) {
        repeated[i] = shift[i % shift.length];
      }
      for (float[] one : finished) {
        if (cuts) {
          work.add(() -> WinogradLoops.shiftAndCut(repeated, one));
        } else if (shift != null) {
          work.add(() -> WinogradLoops.shift(repeated, one));
        }
      }
      return work;
    }

    void run(int sample, int row, int tile) {
      int filters = tiles.filters();
      for (int at = 0; at < SPAN; at++) {
        for (int i = 0; i < SPAN; i++) {
          products.position(((i * SPAN + at) * tiles.count() + tile) * filters);
          products.get(read[i]);
        }
        WinogradTransform.run(down.get(at));
      }
      for (int i = 0; i < SIDE && SIDE * row + i < tiles.outHeight(); i++) {
        WinogradTransform.run(across.get(i));
        for (int j = 0; j < SIDE; j++) {
          for (int column = 0; column < tiles.columns(); column++) {
            System.arraycopy(finished[j], column * filters, line, (SIDE * column + j) * filters, filters);
          }
        }
        z.position((sample * tiles.outHeight() + SIDE * row + i) * tiles.outWidth() * filters);
        z.put(line, 0, tiles.outWidth() * filters);
      }
    }
  }
}
