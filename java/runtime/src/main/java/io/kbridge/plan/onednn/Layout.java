package io.kbridge.plan.onednn;

import io.kbridge.plan.NativeArrays;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.dnnl.memory;

/**
 * How oneDNN is told of a dense array: each of its dimensions is a run of neighbouring axes of the array. oneDNN wants the channels to be
 * its dimension 1, wherever they lie in memory. Immutable.
 */
final class Layout {
  /** How many channels are in a block. */
  static final int BLOCK = 16;

  private final long[] shape;
  private final int[][] runs;
  private final boolean blocked;
  private final Numbers numbers;

  private Layout(long[] shape, int[][] runs) {
    this(shape, runs, false, Numbers.FLOAT);
  }

  private Layout(long[] shape, int[][] runs, boolean blocked, Numbers numbers) {
    this.shape = shape;
    this.runs = runs;
    this.blocked = blocked;
    this.numbers = numbers;
  }

  /** The same array with its channels in blocks, each block of a position together; for channels last with two spatial axes. */
  Layout blocked(boolean wanted) {
    return wanted ? new Layout(shape, runs, true, numbers) : this;
  }

  /** The same array with bfloat16 numbers, or with float32 ones. */
  Layout half(boolean wanted) {
    return stored(wanted ? Numbers.HALF : Numbers.FLOAT);
  }

  /** The same array with its numbers stored in another way. */
  Layout stored(Numbers wanted) {
    return wanted == numbers ? this : new Layout(shape, runs, blocked, wanted);
  }

  /** Tells whether channels lie in blocks. */
  boolean isBlocked() {
    return blocked;
  }

  /** Returns how many pixels an image has, channels last. */
  long pixels() {
    return shape[1] * shape[2];
  }

  /** Tells how the numbers are stored. */
  Numbers numbers() {
    return numbers;
  }

  /** Tells whether the channels of an image of this shape, channels last, are whole blocks. */
  static boolean hasBlocks(long[] shape) {
    return shape.length == 4 && shape[3] % BLOCK == 0;
  }

  /** Tells whether arrays of a shape lie in another order than without blocks. */
  boolean reorders(long[] operand) {
    return blocked && isInBlocks(operand) && operand[1] * operand[2] > 1;
  }

  private boolean isInBlocks(long[] operand) {
    return operand.length == 4 && shape.length == 4 && operand[3] == shape[3] && operand[3] % BLOCK == 0;
  }

  /** Batch, channels, then the spatial axes. */
  static Layout spatial(long[] shape, boolean channelsLast) {
    int[][] runs = new int[shape.length][];
    for (int i = 0; i < runs.length; i++) {
      int axis = !channelsLast || i == 0 ? i : i == 1 ? shape.length - 1 : i - 1;
      runs[i] = new int[] {axis, axis + 1};
    }
    return new Layout(shape.clone(), runs);
  }

  /** Of an image with channels last: as {@link #spatial} says it, but described in memory as one plane for each channel. */
  static Layout planes(long[] shape) {
    return new Layout(new long[] {shape[0], shape[3], shape[1], shape[2]}, spatial(shape, false).runs);
  }

  /** Each dimension the axes from one to another one. */
  static Layout of(long[] shape, int[]... runs) {
    return new Layout(shape.clone(), runs);
  }

  /** Two dimensions: all axes but the last ones as rows. */
  static Layout rows(long[] shape, int columnAxes) {
    int cut = shape.length - columnAxes;
    return new Layout(shape.clone(), new int[][] {{0, cut}, {cut, shape.length}});
  }

  /**
   * As few dimensions as the operands allow that are broadcast to a shape.
   *
   * @param shape the shape
   * @param operands shapes that are broadcast to it
   * @return the layout, or null if more than three dimensions are needed
   */
  static Layout collapsed(long[] shape, List<long[]> operands) {
    List<int[]> runs = new ArrayList<>();
    for (int axis = 0; axis < shape.length; axis++) {
      if (shape[axis] == 1) {
        continue;
      }
      int[] last = runs.isEmpty() ? null : runs.get(runs.size() - 1);
      if (last != null && alike(shape, operands, last[1] - 1, axis)) {
        last[1] = axis + 1;
      } else {
        runs.add(new int[] {last == null ? 0 : last[1], axis + 1});
      }
    }
    if (runs.isEmpty()) {
      runs.add(new int[] {0, shape.length});
    }
    runs.get(runs.size() - 1)[1] = shape.length;
    if (runs.size() > 3) {
      return null;
    }
    if (runs.size() == 3) {
      runs.add(1, runs.remove(2));
    }
    return new Layout(shape.clone(), runs.toArray(new int[0][]));
  }

  private static boolean alike(long[] shape, List<long[]> operands, int a, int b) {
    for (long[] operand : operands) {
      if ((sizeAt(shape, operand, a) == 1) != (sizeAt(shape, operand, b) == 1)) {
        return false;
      }
    }
    return shape[a] != 1;
  }

  private static long sizeAt(long[] shape, long[] operand, int axis) {
    int own = axis - (shape.length - operand.length);
    return own < 0 ? 1 : operand[own];
  }

  /** Returns the shape of the array. */
  long[] shape() {
    return shape.clone();
  }

  /** Returns the sizes of oneDNN's dimensions. */
  long[] dims() {
    return dims(shape);
  }

  /** Returns the size of dimension 1, or of the only one. */
  long channels() {
    long[] dims = dims();
    return dims[Math.min(1, dims.length - 1)];
  }

  /** Tells whether dimension 1 is one axis of the array alone. */
  boolean isChannelAxis(int axis) {
    int[] run = runs[Math.min(1, runs.length - 1)];
    return run[0] == axis && run[1] == axis + 1;
  }

  /** Describes the array. */
  memory.desc desc() {
    return desc(shape);
  }

  /**
   * Describes an operand that is broadcast to the array.
   *
   * @param operand its shape
   * @return its description, or null if it cannot be said in these dimensions
   */
  memory.desc desc(long[] operand) {
    long[] dims = dims(operand);
    if (dims == null) {
      return null;
    }
    if (blocked && isInBlocks(operand)) {
      return new memory.desc(dims, numbers.type(), memory.format_tag.aBcd16b);
    }
    long[] own = aligned(operand);
    long[] dense = NativeArrays.strides(own);
    long[] strides = new long[dims.length];
    for (int i = 0; i < strides.length; i++) {
      strides[i] = runs[i][1] > runs[i][0] ? dense[runs[i][1] - 1] : 1;
    }
    return OneDnn.strided(numbers.type(), dims, strides);
  }

  /**
   * Returns an operand's sizes in oneDNN's dimensions.
   *
   * @param operand its shape
   * @return the sizes, or null if it cannot be said in these dimensions
   */
  long[] dims(long[] operand) {
    if (operand.length > shape.length) {
      return null;
    }
    long[] own = aligned(operand);
    long[] dims = new long[runs.length];
    for (int i = 0; i < dims.length; i++) {
      long full = NativeArrays.length(Arrays.copyOfRange(shape, runs[i][0], runs[i][1]));
      dims[i] = NativeArrays.length(Arrays.copyOfRange(own, runs[i][0], runs[i][1]));
      if (dims[i] != full && dims[i] != 1) {
        return null;
      }
    }
    return dims;
  }

  private long[] aligned(long[] operand) {
    long[] own = new long[shape.length];
    Arrays.fill(own, 1);
    System.arraycopy(operand, 0, own, shape.length - operand.length, operand.length);
    return own;
  }
}
