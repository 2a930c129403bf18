package io.kbridge.plan.control;

import io.kbridge.plan.NativeArrays;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Copies between an array and one position of its axis. Rows are copied by memcpy: ND4J's copy of a strided view takes several times longer.
 * On a GPU there is only ND4J's.
 */
final class Slices {
  private final INDArray[] positions;
  private final INDArray part;
  private final Pointer whole;
  private final Pointer slice;
  private final long rows;
  private final long rowBytes;
  private final long rowDistance;

  /**
   * Prepares the copies.
   *
   * @param whole a dense array
   * @param axis one of its axes
   * @param slice a dense array of the same type, without that axis
   */
  Slices(INDArray whole, int axis, INDArray slice) {
    long before = 1;
    for (int i = 0; i < axis; i++) {
      before *= whole.size(i);
    }
    boolean empty = whole.isEmpty();
    this.rows = empty ? 0 : before;
    this.rowBytes = empty ? 0 : slice.length() / before * slice.dataType().width();
    this.rowDistance = rowBytes * whole.size(axis);
    boolean bytes = !empty && NativeArrays.inHostMemory();
    this.whole = bytes ? NativeArrays.pointer(whole) : null;
    this.slice = bytes ? NativeArrays.pointer(slice) : null;
    this.part = slice;
    this.positions = bytes || empty ? new INDArray[0] : views(whole, axis, slice);
  }

  private static INDArray[] views(INDArray whole, int axis, INDArray slice) {
    long[] strides = new long[slice.rank()];
    for (int i = 0; i < strides.length; i++) {
      strides[i] = whole.stride(i < axis ? i : i + 1);
    }
    INDArray[] views = new INDArray[(int) whole.size(axis)];
    for (int i = 0; i < views.length; i++) {
      long offset = whole.offset() + i * (long) whole.stride(axis);
      views[i] = Nd4j.create(whole.data(), slice.shape(), strides, offset, 'c', whole.dataType());
    }
    return views;
  }

  /** Copies one position into the slice. */
  void read(long position) {
    if (positions.length > 0) {
      part.assign(positions[(int) position]);
      return;
    }
    for (long row = 0; row < rows; row++) {
      Pointer.memcpy(
          slice.position(row * rowBytes), whole.position(row * rowDistance + position * rowBytes), rowBytes);
    }
  }

  /** Copies the slice to one position. */
  void write(long position) {
    if (positions.length > 0) {
      positions[(int) position].assign(part);
      return;
    }
    for (long row = 0; row < rows; row++) {
      Pointer.memcpy(
          whole.position(row * rowDistance + position * rowBytes), slice.position(row * rowBytes), rowBytes);
    }
  }
}
