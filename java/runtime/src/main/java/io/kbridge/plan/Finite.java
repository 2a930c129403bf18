package io.kbridge.plan;

import java.util.stream.LongStream;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.openblas.global.openblas;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Looks for NaN and infinity: in a sum where that can tell, otherwise a word of memory at a time. */
public final class Finite {
  private static final int BLOCK = 1024;
  /** How many words one thread looks at, at least. */
  private static final long PART = 1L << 17;
  // NB: OpenBLAS shares out longer sums to threads of its own, which would spin beside OpenMP's.
  private static final int SUMMAND = 1 << 16;

  private Finite() {}

  /**
   * Tells whether all elements of an array are finite numbers.
   *
   * @param array an array of any type
   * @return true if none is NaN or infinite; always true for types that have neither
   */
  public static boolean all(INDArray array) {
    DataType type = array.dataType();
    if (!type.isFPType() || array.isEmpty()) {
      return true;
    }
    INDArray dense = NativeArrays.isDense(array) ? array : array.dup('c');
    Pointer start = NativeArrays.readable(dense);
    if (type == DataType.FLOAT && sumsUp(start, dense.length())) {
      return true;
    }
    int perWord = Long.BYTES / type.width();
    long words = dense.length() / perWord;
    return scan(start, type, words) && tail(dense, words * perWord);
  }

  /** Tells whether the sum of all magnitudes is finite. Then they all are; otherwise they may be, and large. */
  private static boolean sumsUp(Pointer start, long length) {
    float sum = 0;
    try (FloatPointer numbers = new FloatPointer(start)) {
      for (long at = 0; at < length && Float.isFinite(sum); at += SUMMAND) {
        sum += openblas.cblas_sasum((int) Math.min(SUMMAND, length - at), numbers.position(at), 1);
      }
    }
    return Float.isFinite(sum);
  }

  private static boolean scan(Pointer start, DataType type, long words) {
    long exponents = repeated(type, exponent(type));
    long ones = repeated(type, Long.lowestOneBit(exponent(type)));
    long signs = repeated(type, 1L << 8 * type.width() - 1);
    long parts = (words + PART - 1) / PART;
    return LongStream.range(0, parts)
        .parallel()
        .allMatch(part -> (overflows(start, part * PART, Math.min(words, (part + 1) * PART), exponents, ones) & signs) == 0);
  }

  private static long overflows(Pointer start, long from, long to, long exponents, long ones) {
    // NB: an exponent of ones only, and no other, overflows into the sign when one is added to it. In blocks, and with a sum for each place in a
    // block, because the compiler makes vector instructions of such loops and of no others.
    int size = (int) Math.min(BLOCK, to - from);
    long[] block = new long[size];
    long[] overflows = new long[size];
    try (LongPointer numbers = new LongPointer(start)) {
      for (long at = from; at < to; at += size) {
        int count = (int) Math.min(size, to - at);
        numbers.position(at).get(block, 0, count);
        collect(block, count, exponents, ones, overflows);
      }
    }
    long found = 0;
    for (long overflow : overflows) {
      found |= overflow;
    }
    return found;
  }

  private static void collect(long[] block, int count, long exponents, long ones, long[] overflows) {
    for (int i = 0; i < count; i++) {
      overflows[i] |= (block[i] & exponents) + ones;
    }
  }

  private static boolean tail(INDArray array, long from) {
    for (long i = from; i < array.length(); i++) {
      if (!Double.isFinite(array.getDouble(i))) {
        return false;
      }
    }
    return true;
  }

  private static long exponent(DataType type) {
    switch (type) {
      case HALF:
        return 0x7c00;
      case BFLOAT16:
        return 0x7f80;
      case FLOAT:
        return 0x7f800000;
      default:
        return 0x7ff0000000000000L;
    }
  }

  private static long repeated(DataType type, long bits) {
    long word = 0;
    for (int shift = 0; shift < Long.SIZE; shift += 8 * type.width()) {
      word |= bits << shift;
    }
    return word;
  }
}
