package io.kbridge.plan.onednn;

import io.kbridge.plan.NativeArrays;

/**
 * How images are cut for one of the forms of Winograd's algorithm: each tile of a result is computed from a larger one of the image, which overlaps with
 * the next. Tiles beyond the edges are computed whole and cut off. Immutable.
 */
final class Tiles {
  // NB: tiles and products that are in the caches still when they are read again; measured with images of 14x14 to 71x71, with 64 to 256 channels.
  private static final long CACHED = 4L << 20;

  private final WinogradForm form;
  private final int samples;
  private final int pool;
  private final int threads;
  private final int portions;
  private final int portion;
  private final int height;
  private final int width;
  private final int channels;
  private final int outHeight;
  private final int outWidth;
  private final int filters;
  private final int top;
  private final int left;

  /**
   * Cuts images.
   *
   * @param form the form of the algorithm
   * @param image the shape of the images, channels last
   * @param result that of the result
   * @param before how many rows and columns of zeros are in front of an image
   * @param pool how many rows and columns of the result a window of a pooling has, whose windows lie side by side; 1 without one
   * @param threads how many threads share out the work
   */
  Tiles(WinogradForm form, long[] image, long[] result, long[] before, int pool, int threads) {
    this.form = form;
    this.pool = pool;
    this.threads = threads;
    samples = Math.toIntExact(image[0]);
    height = Math.toIntExact(image[1]);
    width = Math.toIntExact(image[2]);
    channels = Math.toIntExact(image[3]);
    outHeight = Math.toIntExact(result[1]);
    outWidth = Math.toIntExact(result[2]);
    filters = Math.toIntExact(result[3]);
    top = Math.toIntExact(before[0]);
    left = Math.toIntExact(before[1]);
    long wanted = threads == 1 ? cached() : shared();
    portion = Math.toIntExact((allRows() + wanted - 1) / wanted);
    portions = (allRows() + portion - 1) / portion;
  }

  /**
   * As many portions as it takes for a few rows of tiles at a time, but not so many that kernels, which are read anew for each portion, are more to read
   * than tiles.
   */
  private long cached() {
    long most = Math.max(CACHED, kernelBytes());
    return (tileBytes() + most - 1) / most;
  }

  private long kernelBytes() {
    return (long) Float.BYTES * form.positions() * channels * filters;
  }

  private long tileBytes() {
    return (long) Float.BYTES * form.positions() * allRows() * columns() * (channels + filters);
  }

  /**
   * A portion for each thread at least, so that each reads what it has written itself, unless kernels, which each of them would read, are larger than
   * tiles.
   */
  private long shared() {
    long cached = cached();
    long even = cached >= threads || kernelBytes() <= tileBytes() ? even(Math.max(cached, threads)) : 0;
    return even > 0 ? even : cached;
  }

  /** Returns the same without a pooling. */
  Tiles alone() {
    long[] image = {samples, height, width, channels};
    long[] result = {samples, outHeight, outWidth, filters};
    return new Tiles(form, image, result, new long[] {top, left}, 1, threads);
  }

  /** About so many portions that each thread has as many rows as the others, or nearly so; 0 if some would have none. */
  private long even(long wanted) {
    long best = 0;
    long fewest = Long.MAX_VALUE;
    for (long count = 2 * wanted / threads * threads; count >= threads && 2 * count >= wanted; count -= threads) {
      long each = (allRows() + count - 1) / count;
      long rows = count / threads * each;
      if (rows < fewest && (allRows() + each - 1) / each >= threads) {
        fewest = rows;
        best = count;
      }
    }
    return best;
  }

  WinogradForm form() {
    return form;
  }

  int height() {
    return height;
  }

  int width() {
    return width;
  }

  int channels() {
    return channels;
  }

  int outWidth() {
    return outWidth;
  }

  int filters() {
    return filters;
  }

  /** Returns how many rows of zeros are above an image. */
  int top() {
    return top;
  }

  /** Returns how many columns of zeros are in front of an image. */
  int left() {
    return left;
  }

  /** Returns how many rows of tiles an image has. */
  int rows() {
    return (outHeight + form.down().side() - 1) / form.down().side();
  }

  /** Returns how many rows of tiles all images have. */
  int allRows() {
    return samples * rows();
  }

  /** Returns how many threads share out the work. */
  int threads() {
    return threads;
  }

  /** Tells whether each thread computes whole portions, so that what it reads lies in its own cache. Otherwise all of them work on the same one. */
  boolean apart() {
    return portions >= threads && threads > 1;
  }

  /** Returns how many portions there are. */
  int portions() {
    return portions;
  }

  /** Returns how many rows of tiles are computed together; the last portion may have fewer. */
  int portion() {
    return portion;
  }

  /** Returns how many tiles a row has. */
  int columns() {
    return (outWidth + form.across().side() - 1) / form.across().side();
  }

  /** Returns how many tiles a portion has. */
  int count() {
    return portion * columns();
  }

  /** Returns how many rows and columns a window of the pooling behind it has; 1 without one. */
  int pool() {
    return pool;
  }

  /** Returns how many rows the result has, behind the pooling. */
  int resultHeight() {
    return outHeight / pool;
  }

  /** Returns how many columns the result has. */
  int resultWidth() {
    return outWidth / pool;
  }

  /** Returns the shape of the result. */
  long[] resultShape() {
    return new long[] {samples, resultHeight(), resultWidth(), filters};
  }

  /** Returns how many numbers are multiplied for each place of a kernel. */
  long multiplied() {
    return (long) samples * outHeight * outWidth * filters * channels;
  }

  /** Returns how many numbers all tiles of a portion have. */
  long spread() {
    return (long) form.positions() * count() * channels;
  }

  /** Returns how many numbers all products of a portion have. */
  long products() {
    return (long) form.positions() * count() * filters;
  }
}
