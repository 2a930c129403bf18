package io.kbridge.plan;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Makes ND4J arrays over memory that is there already, without copying it. */
public final class NativeArrays {
  private static final long PIECE = 1L << 30;

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

  /**
   * Copies an array into memory of its own, which no workspace owns.
   *
   * @param array a dense 'c' order array that is not empty
   * @return the copy
   */
  public static INDArray copy(INDArray array) {
    INDArray copy = Nd4j.createUninitializedDetached(array.dataType(), 'c', array.shape());
    copy(array, copy);
    return copy;
  }

  /**
   * Copies the content of one array into another of its type and size.
   *
   * @param from a dense 'c' order array that is not empty
   * @param to another
   */
  public static void copy(INDArray from, INDArray to) {
    try (Pointer source = borrowed(from);
        Pointer target = borrowed(to)) {
      Pointer.memcpy(target, source, from.length() * from.dataType().width());
    }
  }

  /**
   * Lets Java read and write a part of an array. The caller keeps the array alive.
   *
   * @param array a dense 'c' order array of float32
   * @param from the first element
   * @param count how many elements; fewer than 2^29
   * @return a buffer over the array's memory
   */
  public static FloatBuffer floats(INDArray array, long from, int count) {
    try (Pointer start = borrowed(array);
        FloatPointer numbers = new FloatPointer(start)) {
      return numbers.capacity(from + count).position(from).asBuffer();
    }
  }

  /**
   * Lets Java read an array's memory. The caller keeps the array alive.
   *
   * @param array a dense 'c' order array
   * @return its bytes, in pieces that Java can address; none if it is empty
   */
  public static List<ByteBuffer> bytes(INDArray array) {
    List<ByteBuffer> pieces = new ArrayList<>();
    long bytes = array.isEmpty() ? 0 : array.length() * array.dataType().width();
    for (long from = 0; from < bytes; from += PIECE) {
      try (Pointer start = borrowed(array);
          BytePointer memory = new BytePointer(start)) {
        pieces.add(memory.capacity(Math.min(bytes, from + PIECE)).position(from).asBuffer());
      }
    }
    return pieces;
  }

  /** An address without an owner. */
  private static final class Borrowed extends Pointer {
    Borrowed(long address) {
      this.address = address;
    }
  }
}
