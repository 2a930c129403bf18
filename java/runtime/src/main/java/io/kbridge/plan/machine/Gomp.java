package io.kbridge.plan.machine;

import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import java.util.Map;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.nativeblas.NativeOps;
import org.nd4j.nativeblas.NativeOpsHolder;

/**
 * GNU's OpenMP, if native code uses it. Between the steps of a plan its threads are awake: to give work to them and to wait for it takes 1 us, where to wake a
 * thread of Java's, and OpenMP's after it, takes a hundred.
 */
final class Gomp {
  private static final int LAZY = 1;
  private static final int LOADED_ALREADY = 4;
  private static final boolean IS_THERE = find();

  private Gomp() {}

  /** Tells whether it is there. */
  static boolean isThere() {
    return IS_THERE;
  }

  private static boolean find() {
    try {
      Nd4j.getBackend();
      Native.register(Gomp.class, library());
      return isOfNativeCode();
    } catch (LinkageError | RuntimeException e) {
      // NB: the answer to a question: another system, another OpenMP, or no memory for code.
      return false;
    }
  }

  private static NativeLibrary library() {
    return NativeLibrary.getInstance("libgomp.so.1", Map.of(Library.OPTION_OPEN_FLAGS, LAZY | LOADED_ALREADY));
  }

  /** Tells whether it is native code's, too: a process may have two libraries of this name. */
  private static boolean isOfNativeCode() {
    NativeOps code = NativeOpsHolder.getInstance().getDeviceNativeOps();
    int before = code.ompGetMaxThreads();
    code.setOmpNumThreads(before + 1);
    try {
      return omp_get_max_threads() == before + 1;
    } finally {
      code.setOmpNumThreads(before);
    }
  }

  /** Returns the address of one of its functions. */
  static long function(String name) {
    return Pointer.nativeValue(library().getFunction(name));
  }

  /**
   * Lets threads run a function, the caller among them; returns when all have. What compilers call for a parallel region.
   *
   * @param function its address
   * @param data what it is called with
   * @param threads how many threads are to run it; there may be fewer
   * @param flags zero
   */
  static native void GOMP_parallel(long function, long data, int threads, int flags);

  private static native int omp_get_max_threads();
}
