package io.kbridge.plan.onednn;

import io.kbridge.plan.machine.Cut;
import io.kbridge.plan.machine.EvenBlocks;
import io.kbridge.plan.machine.PanelShape;
import java.util.ArrayList;
import java.util.Arrays;
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
  private final EvenBlocks even;

  /**
   * Cuts images.
   *
   * @param images the images
   * @param result the result
   * @param strides how many rows and columns are between the pixels that are read
   */
  Pixels(Layout images, Layout result, long[] strides) {
    long[] image = images.shape();
    long[] resultShape = result.shape();
    boolean blocked = images.isBlocked() || result.isBlocked();
    boolean dense = strides[0] == 1 && strides[1] == 1;
    // NB: with channels last the pixels of all samples are one after the other.
    long joined = dense && !blocked ? image[0] : 1;
    samples = Math.toIntExact(image[0] / joined);
    this.strides = strides;
    width = image[2];
    outWidth = resultShape[2];
    from = new Lie(joined * image[1] * image[2], images);
    to = new Lie(joined * resultShape[1] * resultShape[2], result);
    int most = from.pixel % ALIKE == 0 ? MOST_ALIKE : PanelShape.MOST_ROWS;
    boolean byRows = !dense && outWidth <= most;
    unit = byRows ? Math.toIntExact(outWidth) : 1;
    int units = Math.toIntExact(dense ? to.pixels : byRows ? resultShape[1] : outWidth);
    runs = Math.toIntExact(dense || byRows ? 1 : resultShape[1]);
    even = new EvenBlocks(units, most / unit);
  }

  /** Returns where each block begins in the images and in the result. */
  long[][] blocks() {
    List<long[]> blocks = new ArrayList<>();
    add(blocks, 0, even.large());
    add(blocks, even.large(), even.count());
    return blocks.toArray(new long[0][]);
  }

  /** Returns how many blocks have the larger size. */
  int largeBlocks() {
    return samples * runs * even.large();
  }

  private void add(List<long[]> blocks, int first, int end) {
    for (int sample = 0; sample < samples; sample++) {
      for (int run = 0; run < runs; run++) {
        for (int i = first; i < end; i++) {
          long pixel = run * outWidth + even.start(i) * unit;
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
  PanelShape shape(boolean adds, Cut cut) {
    int[][] rows = Arrays.stream(even.sizes()).mapToObj(this::rows).toArray(int[][]::new);
    int groups = Math.toIntExact(from.channels / PanelShape.VECTOR);
    return new PanelShape(groups, from.group, rows, Math.toIntExact(to.pixel), to.group, adds, cut, from.half, to.half);
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
    private final boolean half;
    private final long channels;
    private final long sample;
    private final long pixel;
    private final int group;

    Lie(long pixels, Layout layout) {
      this.pixels = pixels;
      this.half = layout.numbers() == Numbers.HALF;
      this.channels = layout.channels();
      long bytes = half ? Short.BYTES : Float.BYTES;
      this.sample = pixels * channels * bytes;
      this.pixel = (layout.isBlocked() ? PanelShape.VECTOR : channels) * bytes;
      this.group = Math.toIntExact((layout.isBlocked() ? pixels : 1) * PanelShape.VECTOR * bytes);
    }
  }
}
