package io.kbridge.plan.onednn;

import io.kbridge.plan.machine.PanelShape;
import java.util.ArrayList;
import java.util.List;

/**
 * The pixels of images and of the result of a convolution with kernels of one pixel, in blocks that are computed together: blocks of the larger of two sizes
 * first, then those with one unit less. A unit is a pixel, or a row of a small image of which pixels are left out. Places are in bytes. Immutable.
 */
final class Pixels {
  // NB: rows that begin in so many bytes from each other share their place in the first cache, which has room for twelve such.
  private static final long ALIKE = 4096;
  private static final int MOST_ALIKE = 12;

  private final Lie from;
  private final Lie to;
  private final long[] strides;
  private final long width;
  private final long outWidth;
  private final int unit;
  private final int runs;
  private final int samples;
  private final int large;
  private final int count;
  private final int rest;

  /**
   * Cuts images.
   *
   * @param image the shape of the images
   * @param blockedIn whether their channels lie in blocks
   * @param result the shape of the result
   * @param blockedOut whether its channels do
   * @param strides how many rows and columns are between the pixels that are read
   */
  Pixels(long[] image, boolean blockedIn, long[] result, boolean blockedOut, long[] strides) {
    boolean dense = strides[0] == 1 && strides[1] == 1;
    // NB: with channels last the pixels of all samples are one after the other.
    long joined = dense && !blockedIn && !blockedOut ? image[0] : 1;
    samples = Math.toIntExact(image[0] / joined);
    this.strides = strides;
    width = image[2];
    outWidth = result[2];
    from = new Lie(joined * image[1] * image[2], image[3], blockedIn);
    to = new Lie(joined * result[1] * result[2], result[3], blockedOut);
    int most = from.pixel % ALIKE == 0 ? MOST_ALIKE : PanelShape.MOST_ROWS;
    boolean byRows = !dense && outWidth <= most;
    unit = byRows ? Math.toIntExact(outWidth) : 1;
    int units = Math.toIntExact(dense ? to.pixels : byRows ? result[1] : outWidth);
    runs = Math.toIntExact(dense || byRows ? 1 : result[1]);
    int parts = (units + most / unit - 1) / (most / unit);
    large = (units + parts - 1) / parts;
    count = units - parts * (large - 1);
    rest = parts - count;
  }

  /** Returns where each block begins in the images and in the result. */
  long[][] blocks() {
    List<long[]> blocks = new ArrayList<>();
    add(blocks, 0, count);
    add(blocks, count, count + rest);
    return blocks.toArray(new long[0][]);
  }

  /** Returns how many blocks have the larger size. */
  int largeBlocks() {
    return samples * runs * count;
  }

  private void add(List<long[]> blocks, int first, int end) {
    for (int sample = 0; sample < samples; sample++) {
      for (int run = 0; run < runs; run++) {
        for (int i = first; i < end; i++) {
          long at = (long) i * large - Math.max(0, i - count);
          long pixel = run * outWidth + at * unit;
          blocks.add(new long[] {sample * from.sample + from.pixel * source(pixel), sample * to.sample + to.pixel * pixel});
        }
      }
    }
  }

  /** Returns which pixel of an image one of the result is computed from. */
  private long source(long pixel) {
    return strides[0] == 1 && strides[1] == 1 ? pixel : pixel / outWidth * strides[0] * width + pixel % outWidth * strides[1];
  }

  /** Describes the product. */
  PanelShape shape(boolean adds, boolean cuts) {
    int[][] rows = rest > 0 ? new int[][] {rows(large), rows(large - 1)} : new int[][] {rows(large)};
    int groups = Math.toIntExact(from.channels / PanelShape.VECTOR);
    return new PanelShape(groups, from.group, rows, Math.toIntExact(to.pixel), to.group, adds, cuts);
  }

  private int[] rows(int size) {
    int[] rows = new int[size * unit];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = Math.toIntExact(from.pixel * source(i));
    }
    return rows;
  }

  /** How pixels lie in memory. */
  private static final class Lie {
    private final long pixels;
    private final long channels;
    private final long sample;
    private final long pixel;
    private final int group;

    Lie(long pixels, long channels, boolean blocked) {
      this.pixels = pixels;
      this.channels = channels;
      this.sample = pixels * channels * Float.BYTES;
      this.pixel = (blocked ? PanelShape.VECTOR : channels) * Float.BYTES;
      this.group = Math.toIntExact((blocked ? pixels : 1) * PanelShape.VECTOR * Float.BYTES);
    }
  }
}
