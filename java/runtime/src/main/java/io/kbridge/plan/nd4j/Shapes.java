package io.kbridge.plan.nd4j;

import java.util.Arrays;

/** Arithmetic on shapes. */
final class Shapes {
  private Shapes() {}

  /**
   * Counts the elements of a shape.
   *
   * @param shape the shape
   * @return the count
   */
  static long size(long... shape) {
    long size = 1;
    for (long d : shape) {
      size *= d;
    }
    return size;
  }

  /**
   * Returns the strides of a contiguous array in 'c' order.
   *
   * @param shape its shape
   * @return the strides, in elements
   */
  static long[] strides(long... shape) {
    long[] strides = new long[shape.length];
    long stride = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      strides[i] = stride;
      stride *= shape[i];
    }
    return strides;
  }

  /**
   * Returns a list of ones.
   *
   * @param n how many
   * @return the list
   */
  static long[] ones(int n) {
    long[] ones = new long[n];
    Arrays.fill(ones, 1);
    return ones;
  }

  /**
   * Returns a list with one value more.
   *
   * @param list the list
   * @param at where
   * @param value the value
   * @return a new list
   */
  static long[] insert(long[] list, int at, long value) {
    long[] longer = new long[list.length + 1];
    System.arraycopy(list, 0, longer, 0, at);
    longer[at] = value;
    System.arraycopy(list, at, longer, at + 1, list.length - at);
    return longer;
  }

  /**
   * Returns a list without one of its values.
   *
   * @param list the list
   * @param at which
   * @return a new list
   */
  static long[] remove(long[] list, int at) {
    long[] shorter = new long[list.length - 1];
    System.arraycopy(list, 0, shorter, 0, at);
    System.arraycopy(list, at + 1, shorter, at, shorter.length - at);
    return shorter;
  }

  /**
   * Returns a list with one value replaced.
   *
   * @param list the list
   * @param at which
   * @param value the new value
   * @return a new list
   */
  static long[] replace(long[] list, int at, long value) {
    long[] copy = list.clone();
    copy[at] = value;
    return copy;
  }

  /**
   * Joins lists.
   *
   * @param lists the lists
   * @return a new list
   */
  static long[] concat(long[]... lists) {
    return Arrays.stream(lists).flatMapToLong(Arrays::stream).toArray();
  }

  /**
   * Returns the integers from 0.
   *
   * @param n how many
   * @return the list
   */
  static int[] range(int n) {
    int[] all = new int[n];
    for (int i = 0; i < n; i++) {
      all[i] = i;
    }
    return all;
  }

  /**
   * Returns the shape NumPy broadcasts shapes to.
   *
   * @param shapes the shapes; known to fit each other, since Keras has computed with them
   * @return the common shape
   */
  static long[] broadcast(long[]... shapes) {
    int rank = 0;
    for (long[] shape : shapes) {
      rank = Math.max(rank, shape.length);
    }
    long[] common = ones(rank);
    for (long[] shape : shapes) {
      int lead = rank - shape.length;
      for (int i = 0; i < shape.length; i++) {
        if (shape[i] != 1) {
          common[lead + i] = shape[i];
        }
      }
    }
    return common;
  }

  /**
   * Returns the shape that is left of a shape after a reduction.
   *
   * @param shape the shape
   * @param axes the reduced axes
   * @param keep whether they stay, as size one
   * @return the new shape
   */
  static long[] reduce(long[] shape, long[] axes, boolean keep) {
    boolean[] gone = new boolean[shape.length];
    for (long axis : axes) {
      gone[(int) axis] = true;
    }
    long[] left = new long[shape.length];
    int n = 0;
    for (int i = 0; i < shape.length; i++) {
      if (!gone[i] || keep) {
        left[n++] = gone[i] ? 1 : shape[i];
      }
    }
    return Arrays.copyOf(left, n);
  }
}
