package io.kbridge.plan.control;

import io.kbridge.plan.NativeArrays;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A copy of one dense array's memory to another's, prepared once. */
final class Copy {
  private final Pointer from;
  private final Pointer to;
  private final long bytes;

  private Copy(Pointer from, Pointer to, long bytes) {
    this.from = from;
    this.to = to;
    this.bytes = bytes;
  }

  static Copy of(INDArray from, INDArray to) {
    if (to.isEmpty()) {
      return new Copy(null, null, 0);
    }
    return new Copy(NativeArrays.pointer(from), NativeArrays.pointer(to), to.length() * to.dataType().width());
  }

  void run() {
    if (bytes > 0) {
      Pointer.memcpy(to, from, bytes);
    }
  }

  /** Tells whether two arrays have memory in common. */
  static boolean overlap(INDArray a, INDArray b) {
    if (a.isEmpty() || b.isEmpty()) {
      return false;
    }
    long startA = NativeArrays.address(a);
    long startB = NativeArrays.address(b);
    return startA < startB + b.length() * b.dataType().width() && startB < startA + a.length() * a.dataType().width();
  }
}
