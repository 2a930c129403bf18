package io.kbridge.plan;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Makes ND4J arrays over memory that is there already, without copying it. */
public final class NativeArrays {
  private NativeArrays() {}

  /**
   * Makes a 'c' order array over memory. The caller keeps the memory alive for as long as the array is used.
   *
   * @param memory the first element; aligned for the type
   * @param type the element type
   * @param shape the shape; no size may be 0
   * @return the array
   */
  public static INDArray over(Pointer memory, DataType type, long... shape) {
    return Nd4j.create(Nd4j.createBuffer(memory, length(shape), type), shape, strides(shape), 0, 'c', type);
  }

  /**
   * Makes an array without elements.
   *
   * @param type the element type
   * @param shape the shape; at least one size is 0
   * @return the array
   */
  public static INDArray empty(DataType type, long... shape) {
    return Nd4j.create(type, shape);
  }

  /**
   * Counts the elements of a shape.
   *
   * @param shape the shape
   * @return the product of its sizes
   * @throws ArithmeticException if there are more than a long can count
   */
  public static long length(long... shape) {
    long length = 1;
    for (long size : shape) {
      length = Math.multiplyExact(length, size);
    }
    return length;
  }

  /**
   * Computes the strides of a dense 'c' order array, in elements.
   *
   * @param shape the shape
   * @return the strides
   */
  public static long[] strides(long... shape) {
    long[] strides = new long[shape.length];
    long step = 1;
    for (int i = shape.length - 1; i >= 0; i--) {
      strides[i] = step;
      step *= Math.max(1, shape[i]);
    }
    return strides;
  }

  /**
   * Tells whether an array is dense and in 'c' order, so that its memory is its elements in order. Strides decide, not the array's own idea
   * of its ordering, and those of sizes 1 do not matter.
   *
   * @param array the array
   * @return true if it is
   */
  public static boolean isDense(INDArray array) {
    long[] shape = array.shape();
    long[] expected = strides(shape);
    for (int i = 0; i < shape.length; i++) {
      if (shape[i] > 1 && array.stride(i) != expected[i]) {
        return false;
      }
    }
    return true;
  }

  /**
   * Returns where an array's first element lies.
   *
   * @param array an array that is not empty
   * @return the address
   */
  public static long address(INDArray array) {
    // NB: data().address() is the start of the buffer, also for a view that begins later in it.
    return array.data().pointer().address() + array.offset() * array.dataType().width();
  }

  /**
   * Returns a pointer to an array's first element that owns nothing: closing it leaves the array alone.
   *
   * @param array an array that is not empty; the caller keeps it alive
   * @return the pointer
   */
  public static Pointer borrowed(INDArray array) {
    return new Borrowed(address(array));
  }

  /**
   * Returns a pointer to an array's first element.
   *
   * @param array an array that is not empty; the caller keeps it alive
   * @return the pointer
   */
  public static Pointer pointer(INDArray array) {
    BytePointer start = new BytePointer(array.data().pointer());
    return start.getPointer(BytePointer.class, array.offset() * array.dataType().width());
  }

  /** An address without an owner. */
  private static final class Borrowed extends Pointer {
    Borrowed(long address) {
      this.address = address;
    }
  }
}
