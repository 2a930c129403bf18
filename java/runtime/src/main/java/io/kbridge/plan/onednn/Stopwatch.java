package io.kbridge.plan.onednn;

import io.kbridge.plan.Step;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;

/**
 * The time of one run of a step. If all threads of the step have a core for themselves, the calling one computes all the time; if one of them has to
 * share its core, with a compiler of the JVM perhaps or another process, the calling thread does not get its own all the time, or sleeps until the others
 * are done.
 */
final class Stopwatch {
  private static final double COMPUTING = 0.9;
  /** Null where it cannot be told how long a thread has computed; then no run counts as disturbed. */
  private static final ThreadMXBean THREADS = find();

  private final long passed;
  private final long computed;

  private Stopwatch(long passed, long computed) {
    this.passed = passed;
    this.computed = computed;
  }

  /** Runs a step. */
  static Stopwatch time(Step step) {
    long before = THREADS == null ? 0 : THREADS.getCurrentThreadCpuTime();
    long start = System.nanoTime();
    step.run();
    long passed = System.nanoTime() - start;
    return new Stopwatch(passed, THREADS == null ? passed : THREADS.getCurrentThreadCpuTime() - before);
  }

  double nanoseconds() {
    return passed;
  }

  /** Tells whether some thread had to share its core. */
  boolean isDisturbed() {
    return computed < COMPUTING * passed;
  }

  private static ThreadMXBean find() {
    try {
      ThreadMXBean threads = ManagementFactory.getThreadMXBean();
      return threads.isCurrentThreadCpuTimeSupported() && threads.isThreadCpuTimeEnabled() ? threads : null;
    } catch (NoClassDefFoundError e) {
      // NB: an image of the JVM without its management.
      return null;
    }
  }
}
