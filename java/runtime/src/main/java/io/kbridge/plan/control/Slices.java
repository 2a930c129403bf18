package io.kbridge.plan.control;

import io.kbridge.plan.NativeArrays;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Copies between an array and one position of its axis. Rows are copied by memcpy: ND4J's copy of a strided view takes several times longer.
 */
final class Slices {
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
    this.whole = empty ? null : NativeArrays.pointer(whole);
    this.slice = empty ? null : NativeArrays.pointer(slice);
  }

  /** Copies one position into the slice. */
  void read(long position) {
    for (long row = 0; row < rows; row++) {
      Pointer.memcpy(
          slice.position(row * rowBytes), whole.position(row * rowDistance + position * rowBytes), rowBytes);
    }
  }

  /** Copies the slice to one position. */
  void write(long position) {
    for (long row = 0; row < rows; row++) {
      Pointer.memcpy(
          whole.position(row * rowDistance + position * rowBytes), slice.position(row * rowBytes), rowBytes);
    }
  }
}
