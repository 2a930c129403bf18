package io.kbridge.plan;

import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.nativeblas.NativeOps;
import org.nd4j.nativeblas.NativeOpsHolder;

/**
 * The threads that compute, of the whole process. What runs on several takes that many of the machine's cores, and waits for them while other
 * calls have them: two calls with as many threads as cores take turns, which is quicker than letting their threads displace each other.
 */
public final class Threads {
  private static final int CORES = Runtime.getRuntime().availableProcessors();
  // NB: fair, so that a call that wants all cores is not passed for ever by calls that want few.
  private static final Semaphore FREE = new Semaphore(CORES, true);
  private static final ThreadLocal<Integer> TAKEN = ThreadLocal.withInitial(() -> 0);
  /** How many calls run on their own thread alone. */
  private static final AtomicInteger ALONE = new AtomicInteger();
  // NB: two threads that call in a loop do so at once most of the time, but not all of it.
  private static final long CROWD_NS = 1_000_000;
  private static volatile long lastCrowd = System.nanoTime() - CROWD_NS;

  private Threads() {}

  /**
   * Returns how many threads a call uses unless told otherwise.
   *
   * @return OMP_NUM_THREADS where it is set, otherwise the number of cores this process may use
   */
  public static int usual() {
    String given = System.getenv("OMP_NUM_THREADS");
    // NB: a list has one number for each level of nesting.
    String first = given == null ? "" : given.split(",")[0].trim();
    return first.matches("[1-9][0-9]{0,4}") ? Integer.parseInt(first) : CORES;
  }

  /**
   * Returns how many threads native code may use that this thread calls.
   *
   * @return OpenMP's setting, which each thread has for itself
   */
  public static int allowed() {
    return library().ompGetMaxThreads();
  }

  /** Lets native code that this thread calls use no further threads, for good. */
  public static void keepToOne() {
    library().setOmpNumThreads(1);
  }

  /**
   * Lets native code that this thread calls use no further threads for a while. The cores that a call has taken stay its own.
   *
   * @param action what to do meanwhile
   * @param <T> what it gives
   * @return what it gave
   */
  public static <T> T onOne(Supplier<T> action) {
    NativeOps library = library();
    int before = library.ompGetMaxThreads();
    if (before == 1) {
      return action.get();
    }
    library.setOmpNumThreads(1);
    try {
      return action.get();
    } finally {
      library.setOmpNumThreads(before);
    }
  }

  private static NativeOps library() {
    return Library.OPS;
  }

  /**
   * Runs something on a number of threads.
   *
   * @param threads the number
   * @param action what to run
   * @param <T> what it gives
   * @return what it gave
   */
  static <T> T with(int threads, Supplier<T> action) {
    // NB: what runs inside of another call has that one's cores; waiting for them would be for ever.
    boolean outermost = TAKEN.get() == 0;
    int wanted = threads > 1 && outermost ? Math.min(threads, CORES) : 0;
    take(wanted, outermost);
    // NB: OpenMP has this setting per calling thread, and its first value is not the same in all of them.
    NativeOps omp = library();
    int before = omp.ompGetMaxThreads();
    omp.setOmpNumThreads(threads);
    try {
      return action.get();
    } finally {
      omp.setOmpNumThreads(before);
      give(wanted, outermost);
    }
  }

  private static void take(int wanted, boolean outermost) {
    if (wanted > 0) {
      FREE.acquireUninterruptibly(wanted);
      TAKEN.set(wanted);
    } else if (outermost && ALONE.incrementAndGet() > 1) {
      lastCrowd = System.nanoTime();
    }
  }

  private static void give(int wanted, boolean outermost) {
    if (wanted > 0) {
      TAKEN.set(0);
      FREE.release(wanted);
    } else if (outermost) {
      ALONE.decrementAndGet();
    }
  }

  /**
   * Takes more cores for a call that runs on its own thread alone, if no other call runs, or has run at the same time a moment ago; does not wait for
   * them.
   *
   * @param threads how many threads are to run, the call's own one included
   * @param action what to run meanwhile
   * @return false if the cores are not free, and nothing has been run
   */
  static boolean withFree(int threads, Runnable action) {
    int wanted = Math.min(threads, CORES);
    if (TAKEN.get() > 0 || ALONE.get() > 1 || System.nanoTime() - lastCrowd < CROWD_NS || !FREE.tryAcquire(wanted)) {
      return false;
    }
    TAKEN.set(wanted);
    try {
      action.run();
    } finally {
      TAKEN.set(0);
      FREE.release(wanted);
    }
    return true;
  }

  /** Looked up once, when threads are first asked for. */
  private static final class Library {
    private static final NativeOps OPS;

    static {
      // NB: first, because the holder needs properties that Nd4j reads when it is initialised.
      Nd4j.getBackend();
      OPS = NativeOpsHolder.getInstance().getDeviceNativeOps();
    }

    private Library() {}
  }
}
