package io.kbridge.plan;

import java.nio.FloatBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * An array's elements where Java code reads and writes them: where the array lies, or, for one on a GPU, in a copy in this process's memory.
 * Then they cross by {@link #fetch} and {@link #publish} alone, on the thread that uses the GPU; in between any thread may use the copy.
 */
public final class HostMemory {
  private final BytePointer copy;
  private INDArray array;

  /**
   * Makes room for an array's elements; they are not read yet.
   *
   * @param array a dense 'c' order array that is not empty
   */
  public HostMemory(INDArray array) {
    this.array = array;
    this.copy = NativeArrays.inHostMemory() ? null : new BytePointer(array.length() * array.dataType().width());
  }

  /**
   * Takes another array in the place of this one.
   *
   * @param other a dense 'c' order array of the same type and length
   */
  public void set(INDArray other) {
    array = other;
  }

  /** Reads the elements of an array on a GPU; does nothing for others. */
  public void fetch() {
    if (copy != null) {
      NativeArrays.toHost(array, copy);
    }
  }

  /** Writes the elements to an array on a GPU; does nothing for others. */
  public void publish() {
    if (copy != null) {
      array.assign(NativeArrays.over(copy, array.dataType(), array.shape()));
      Nd4j.getExecutioner().commit();
    }
  }

  /**
   * Returns where the first element is.
   *
   * @return a pointer that owns nothing; this object has to be kept for as long as it is used
   */
  public Pointer pointer() {
    return NativeArrays.borrowed(address());
  }

  /**
   * Returns where the first element is.
   *
   * @return the address
   */
  public long address() {
    return copy == null ? NativeArrays.address(array) : copy.address();
  }

  /**
   * Lets Java read and write a part of an array of float32. This object has to be kept for as long as the buffer is used.
   *
   * @param from the first element
   * @param count how many elements; fewer than 2^29
   * @return a buffer over them
   */
  public FloatBuffer floats(long from, int count) {
    try (Pointer start = pointer();
        FloatPointer numbers = new FloatPointer(start)) {
      return numbers.capacity(from + count).position(from).asBuffer();
    }
  }
}
