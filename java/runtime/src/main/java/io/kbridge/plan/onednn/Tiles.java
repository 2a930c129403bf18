package io.kbridge.plan.onednn;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.machine.PanelShape;

/**
 * How images are cut for one of the forms of Winograd's algorithm: each tile of a result is computed from a larger one of the image, which overlaps with
 * the next. Tiles beyond the edges are computed whole and cut off. Immutable.
 */
final class Tiles {
  // NB: tiles and products that are in the caches still when they are read again; measured with images of 14x14 to 71x71, with 64 to 256 channels.
  private static final long CACHED = 4L << 20;
  // NB: while threads compute, the next part of a kernel is on its way. What one writes and another reads takes longer, above all where processors share no
  // cache: 28x28x128, whose kernel has 1.3 times as many bytes as tiles have, takes 0.17 ms on two cores either way while they do, and 0.19 instead of 0.25
  // while they do not.
  private static final long MOST_KERNEL = 2;
  // NB: each number of a kernel is read once for 14 tiles, if there are so many.
  private static final long LEAST = PanelShape.MOST_ROWS / 2;

  private final WinogradForm form;
  private final int samples;
  private final int pool;
  private final int threads;
  private final int portions;
  private final int count;
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
    long wanted = threads == 1 ? cached(CACHED) : shared();
    count = Math.toIntExact((allTiles() + wanted - 1) / wanted);
    portions = (allTiles() + count - 1) / count;
  }

  /** As many portions as it takes for each to be cached, but not so many that kernels, which are read anew for each, are more to read than tiles. */
  private long cached(long bytes) {
    long most = Math.max(bytes, kernelBytes());
    return (tileBytes() + most - 1) / most;
  }

  private long kernelBytes() {
    return (long) Float.BYTES * form.positions() * channels * filters;
  }

  private long tileBytes() {
    return (long) Float.BYTES * form.positions() * allTiles() * (channels + filters);
  }

  /**
   * As many portions for each thread as for the others, so that each reads what it has written itself; unless kernels, which each of them would read, are
   * much larger than tiles, or portions would be too small to be worth it.
   */
  private long shared() {
    // NB: several portions are computed at the same time then.
    long cached = cached(CACHED / 2);
    long even = (Math.max(cached, threads) + threads - 1) / threads * threads;
    boolean worth = kernelBytes() <= MOST_KERNEL * tileBytes() && allTiles() >= even * LEAST;
    long each = (allTiles() + even - 1) / even;
    boolean all = (allTiles() + each - 1) / each >= threads;
    return all && (cached >= threads || worth) ? even : cached(CACHED);
  }

  /** Returns the same without a pooling. */
  Tiles alone() {
    long[] image = {samples, height, width, channels};
    long[] result = {samples, outHeight, outWidth, filters};
    return new Tiles(form, image, result, new long[] {top, left}, 1, threads);
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

  /** Returns how many tiles all images have. */
  int allTiles() {
    return samples * rows() * columns();
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

  /** Returns how many tiles a row has. */
  int columns() {
    return (outWidth + form.across().side() - 1) / form.across().side();
  }

  /** Returns how many tiles a portion has; the last one may have fewer. */
  int count() {
    return count;
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
