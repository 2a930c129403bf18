package io.kbridge.plan.onednn;

import io.kbridge.plan.NativeArrays;

/**
 * How images are cut for Winograd's algorithm F(4x4, 3x3): each tile of 4x4 numbers of a result is computed from 6x6 numbers of the image, which
 * overlap with those of the next tile by two. Tiles beyond the edges are computed whole and cut off. Immutable.
 */
final class Tiles {
  /** How many numbers of a result each tile has along an axis. */
  static final int SIDE = 4;

  /** How many numbers of the image a tile is computed from, along an axis. */
  static final int SPAN = 6;

  /** How many products of matrices there are, one for each number that a tile is computed from. */
  static final int POSITIONS = SPAN * SPAN;

  private final int samples;
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
   * @param image the shape of the images, channels last
   * @param result that of the result
   * @param before how many rows and columns of zeros are in front of an image
   */
  Tiles(long[] image, long[] result, long[] before) {
    samples = Math.toIntExact(image[0]);
    height = Math.toIntExact(image[1]);
    width = Math.toIntExact(image[2]);
    channels = Math.toIntExact(image[3]);
    outHeight = Math.toIntExact(result[1]);
    outWidth = Math.toIntExact(result[2]);
    filters = Math.toIntExact(result[3]);
    top = Math.toIntExact(before[0]);
    left = Math.toIntExact(before[1]);
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

  int outHeight() {
    return outHeight;
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
    return (outHeight + SIDE - 1) / SIDE;
  }

  /** Returns how many rows of tiles all images have. */
  int allRows() {
    return samples * rows();
  }

  /** Returns how many tiles a row has. */
  int columns() {
    return (outWidth + SIDE - 1) / SIDE;
  }

  /** Returns how many tiles there are. */
  int count() {
    return allRows() * columns();
  }

  /** Returns the shape of the result. */
  long[] resultShape() {
    return new long[] {samples, outHeight, outWidth, filters};
  }

  /** Returns how many numbers the images have. */
  long imageNumbers() {
    return (long) samples * height * width * channels;
  }

  /** Returns how many numbers the result has. */
  long resultNumbers() {
    return NativeArrays.length(resultShape());
  }

  /** Returns how many numbers all tiles of the images have. */
  long spread() {
    return (long) POSITIONS * count() * channels;
  }

  /** Returns how many numbers all products have. */
  long products() {
    return (long) POSITIONS * count() * filters;
  }
}
