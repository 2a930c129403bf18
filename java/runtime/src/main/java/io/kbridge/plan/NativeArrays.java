package io.kbridge.plan;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.concurrency.AffinityManager;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Where ND4J's arrays lie. On the CPU that is memory which anybody may lay arrays over, and copy byte by byte. On a GPU every array has
 * memory of its own there, which only ND4J reaches: then values cross by {@link #over}, {@link #copy} and {@link #readable} alone, and Java
 * code that writes does so in a {@link HostMemory}.
 */
public final class NativeArrays {
  private static final long PIECE = 1L << 30;

  private NativeArrays() {}

  /** Found out when first asked, because it makes ND4J choose its backend. */
  private static final class Where {
    // NB: the property lets tests run the plans of a GPU on a CPU: same steps, same copies, memory of their own.
    private static final boolean HOST = Nd4j.getEnvironment().isCPU() && !Boolean.getBoolean("io.kbridge.deviceMemory");

    private Where() {}
  }

  /**
   * Tells whether arrays lie in this process's own memory.
   *
   * @return false on a GPU
   */
  public static boolean inHostMemory() {
    return Where.HOST;
  }

  /**
   * Makes the calling thread use one of the GPUs; ND4J knows one per thread. Does nothing on the CPU.
   *
   * @param number which one
   */
  public static void useGpu(int number) {
    if (!inHostMemory()) {
      Nd4j.getAffinityManager().unsafeSetDevice(number);
    }
  }

  /**
   * Lets an array's elements be read as they are now: where it lies, or, for one on a GPU, where ND4J keeps a copy of it.
   *
   * @param array a dense array, not empty; the caller keeps it alive, and asks again after it has changed
   * @return where the first element is
   */
  public static Pointer readable(INDArray array) {
    if (!inHostMemory()) {
      Nd4j.getExecutioner().commit();
      Nd4j.getAffinityManager().ensureLocation(array, AffinityManager.Location.HOST);
    }
    return new Borrowed(array.data().pointer().address() + byteOffset(array));
  }

  /**
   * Copies all elements to memory of this process.
   *
   * @param from a dense array, not empty
   * @param target where the first element goes
   */
  public static void toHost(INDArray from, Pointer target) {
    Pointer.memcpy(target, readable(from), from.length() * from.dataType().width());
    Reference.reachabilityFence(from);
  }

  /**
   * Tells whether all elements of one array lie in the memory of another.
   *
   * @param view an array
   * @param base another
   * @return true if so, also for two empty ones
   */
  public static boolean isWithin(INDArray view, INDArray base) {
    if (view.isEmpty() || base.isEmpty()) {
      return view.isEmpty() && base.isEmpty();
    }
    return inOneBuffer(view, base) && start(view) >= start(base) && end(view) <= end(base);
  }

  /**
   * Tells whether two dense arrays have memory in common.
   *
   * @param a an array
   * @param b another
   * @return true if so
   */
  public static boolean overlap(INDArray a, INDArray b) {
    return !a.isEmpty() && !b.isEmpty() && inOneBuffer(a, b) && start(a) < end(b) && start(b) < end(a);
  }

  private static boolean inOneBuffer(INDArray a, INDArray b) {
    return inHostMemory() || root(a.data()) == root(b.data());
  }

  private static DataBuffer root(DataBuffer buffer) {
    DataBuffer root = buffer;
    while (root.originalDataBuffer() != null && root.originalDataBuffer() != root) {
      root = root.originalDataBuffer();
    }
    return root;
  }

  private static long start(INDArray array) {
    return inHostMemory() ? address(array) : byteOffset(array);
  }

  private static long end(INDArray array) {
    return start(array) + array.length() * array.dataType().width();
  }

  /**
   * Makes a 'c' order array over memory of this process. The caller keeps the memory alive for as long as the array is used. (On a GPU
   * the array is a copy of what the memory holds now.)
   *
   * @param memory the first element; aligned for the type
   * @param type the element type
   * @param shape the shape; no size may be 0
   * @return the array
   */
  public static INDArray over(Pointer memory, DataType type, long... shape) {
    INDArray array = Nd4j.create(Nd4j.createBuffer(memory, length(shape), type), shape, strides(shape), 0, 'c', type);
    // NB: CUDA's buffers copy by themselves; the CPU's, in the place of a GPU's, would follow the memory, and hide where something relies on that.
    return inHostMemory() || !Nd4j.getEnvironment().isCPU() ? array : array.dup();
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
    requireHostMemory();
    return array.data().pointer().address() + byteOffset(array);
  }

  /**
   * Returns a pointer to an array's first element that owns nothing: closing it leaves the array alone.
   *
   * @param array an array that is not empty; the caller keeps it alive
   * @return the pointer
   */
  public static Pointer borrowed(INDArray array) {
    return borrowed(address(array));
  }

  static Pointer borrowed(long address) {
    return new Borrowed(address);
  }

  /**
   * Returns a pointer to an array's first element.
   *
   * @param array an array that is not empty; the caller keeps it alive
   * @return the pointer
   */
  public static Pointer pointer(INDArray array) {
    requireHostMemory();
    return start(array.data(), byteOffset(array));
  }

  private static Pointer start(DataBuffer buffer, long offset) {
    return new BytePointer(buffer.pointer()).getPointer(BytePointer.class, offset);
  }

  private static long byteOffset(INDArray array) {
    return array.offset() * array.dataType().width();
  }

  /** Lets nobody read memory of this process in place of a GPU's: it would hold other numbers. */
  private static void requireHostMemory() {
    if (!inHostMemory()) {
      throw new KBridgeException(
          ErrorCode.DEVICE_UNAVAILABLE,
          "Expected arrays in this process's memory. Received: arrays of a GPU. This part of kbridge works on the CPU only: use device 'cpu'.");
    }
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
    if (!inHostMemory()) {
      to.assign(from);
      return;
    }
    try (Pointer source = borrowed(from);
        Pointer target = borrowed(to)) {
      Pointer.memcpy(target, source, from.length() * from.dataType().width());
    }
  }

  /**
   * Copies some elements of one array into another of its type; in this process's memory only.
   *
   * @param from a dense 'c' order array
   * @param fromFirst the first element to copy
   * @param to another
   * @param toFirst where that goes
   * @param count how many elements
   */
  static void copy(INDArray from, long fromFirst, INDArray to, long toFirst, long count) {
    int width = from.dataType().width();
    try (Pointer source = new Borrowed(address(from) + fromFirst * width);
        Pointer target = new Borrowed(address(to) + toFirst * width)) {
      Pointer.memcpy(target, source, count * width);
    }
  }

  /**
   * Lets Java read an array as it is now. The caller keeps the array alive.
   *
   * @param array a dense 'c' order array
   * @return its bytes, in pieces that Java can address; none if it is empty
   */
  public static List<ByteBuffer> bytes(INDArray array) {
    List<ByteBuffer> pieces = new ArrayList<>();
    long bytes = array.isEmpty() ? 0 : array.length() * array.dataType().width();
    for (long from = 0; from < bytes; from += PIECE) {
      try (Pointer start = readable(array);
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
