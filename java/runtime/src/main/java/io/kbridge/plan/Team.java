package io.kbridge.plan;

import com.sun.jna.Callback;
import com.sun.jna.CallbackThreadInitializer;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Pointer;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.IntConsumer;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.nativeblas.NativeOps;
import org.nd4j.nativeblas.NativeOpsHolder;

/**
 * Work in Java that the threads of native code share out, those of GNU's OpenMP. Between the steps of a plan they are awake: to give work to them and to
 * wait for it takes 1 us, where to wake a thread of Java's, and OpenMP's after it, takes a hundred. With as many parts as threads the caller always does
 * the first one, so that on two threads each finds in its caches what it has left there. Not thread safe.
 */
public final class Team {
  private final int parts;
  private final IntConsumer work;
  private final AtomicInteger next = new AtomicInteger();
  private final Body body = data -> runParts();
  private volatile Thread caller;
  private volatile Throwable failure;

  /**
   * Prepares some work.
   *
   * @param parts how many parts it has, as many as native code uses threads
   * @param work does one of them
   */
  public Team(int parts, IntConsumer work) {
    this.parts = parts;
    this.work = work;
    // NB: as threads of Java's until they end, because it takes long to become one.
    Native.setCallbackThreadInitializer(body, new CallbackThreadInitializer(true, false, "OpenMP"));
  }

  /**
   * Tells whether Java can have such threads.
   *
   * @return false if native code uses another OpenMP
   */
  public static boolean isThere() {
    return Gomp.IS_THERE;
  }

  /**
   * Returns the address of a function of OpenMP's.
   *
   * @param name which one
   * @return where it begins
   */
  public static long function(String name) {
    return Pointer.nativeValue(Gomp.library().getFunction(name));
  }

  /**
   * Lets OpenMP's threads run a native function, the caller among them; returns when all have.
   *
   * @param function its address
   * @param data what it is called with
   * @param threads how many threads are to run it; there may be fewer
   */
  public static void call(long function, long data, int threads) {
    Gomp.GOMP_parallel(function, data, threads, 0);
  }

  /**
   * Does all parts; returns when they are done.
   *
   * @throws IllegalStateException if a part failed
   */
  public void run() {
    caller = Thread.currentThread();
    next.set(1);
    failure = null;
    Gomp.GOMP_parallel(body, 0, parts, 0);
    if (failure != null) {
      throw new IllegalStateException("Expected a part of some work to be done. Received: " + failure, failure);
    }
  }

  /** The first part is the caller's. OpenMP may have fewer threads than there are parts, which then take several. */
  private void runParts() {
    try {
      if (Thread.currentThread() == caller) {
        work.accept(0);
      }
      for (int part = next.getAndIncrement(); part < parts; part = next.getAndIncrement()) {
        work.accept(part);
      }
    } catch (RuntimeException | Error e) {
      failure = e;
    }
  }

  /** What OpenMP's threads call. */
  interface Body extends Callback {
    /**
     * Does some of the work.
     *
     * @param data nothing
     */
    void run(long data);
  }

  /** Asks native code how many threads there are. */
  private static final class Count implements Body {
    private final NativeOps library = NativeOpsHolder.getInstance().getDeviceNativeOps();
    private volatile int seen;

    @Override
    public void run(long data) {
      seen = library.ompGetNumThreads();
    }
  }

  /** GNU's OpenMP, if it is loaded: what compilers call for a parallel region. */
  private static final class Gomp {
    private static final int LAZY = 1;
    private static final int LOADED_ALREADY = 4;
    private static final boolean IS_THERE = isThere();

    private static boolean isThere() {
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

    /** Tells whether native code finds itself among the threads, too: a process may have two libraries of this name. */
    private static boolean isOfNativeCode() {
      // NB: a class of its own, because threads that ran a method of this one would wait until it is initialised.
      Count count = new Count();
      Native.setCallbackThreadInitializer(count, new CallbackThreadInitializer(true, false, "OpenMP"));
      GOMP_parallel(count, 0, 2, 0);
      return count.seen == 2;
    }

    static native void GOMP_parallel(Body body, long data, int threads, int flags);

    static native void GOMP_parallel(long function, long data, int threads, int flags);
  }
}
