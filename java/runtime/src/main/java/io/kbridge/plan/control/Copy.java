package io.kbridge.plan.control;

import io.kbridge.plan.NativeArrays;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A copy of one dense array's elements to another, prepared once. */
final class Copy {
  private final Runnable work;

  private Copy(Runnable work) {
    this.work = work;
  }

  static Copy of(INDArray from, INDArray to) {
    if (to.isEmpty()) {
      return new Copy(() -> {});
    }
    if (!NativeArrays.inHostMemory()) {
      return new Copy(() -> NativeArrays.copy(from, to));
    }
    Pointer source = NativeArrays.pointer(from);
    Pointer target = NativeArrays.pointer(to);
    long bytes = to.length() * to.dataType().width();
    return new Copy(() -> Pointer.memcpy(target, source, bytes));
  }

  void run() {
    work.run();
  }
}
