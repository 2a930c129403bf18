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
  private static final ThreadMXBean THREADS = ManagementFactory.getThreadMXBean();
  private static final boolean KNOWS = THREADS.isCurrentThreadCpuTimeSupported() && THREADS.isThreadCpuTimeEnabled();

  private final long passed;
  private final long computed;

  private Stopwatch(long passed, long computed) {
    this.passed = passed;
    this.computed = computed;
  }

  /** Runs a step. */
  static Stopwatch time(Step step) {
    long before = KNOWS ? THREADS.getCurrentThreadCpuTime() : 0;
    long start = System.nanoTime();
    step.run();
    long passed = System.nanoTime() - start;
    return new Stopwatch(passed, KNOWS ? THREADS.getCurrentThreadCpuTime() - before : passed);
  }

  double nanoseconds() {
    return passed;
  }

  /** Tells whether some thread had to share its core. */
  boolean isDisturbed() {
    return computed < COMPUTING * passed;
  }
}
