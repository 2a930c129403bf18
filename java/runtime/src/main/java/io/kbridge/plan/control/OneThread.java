package io.kbridge.plan.control;

import io.kbridge.plan.CompiledBody;
import io.kbridge.plan.Threads;

/**
 * Keeps the operations of a small body on the thread that runs the loop. They take microseconds; sharing each out costs as much on a quiet
 * machine, and on a busy one every operation would wait for threads that others have displaced: measured, up to 15 times the loop's time.
 */
final class OneThread {
  // NB: about what the caches next to one core hold; above, several cores are faster.
  private static final long SMALL_BYTES = 1L << 20;

  private OneThread() {}

  /** Runs a loop, on one thread if its body is small. */
  static void run(CompiledBody body, Runnable loop) {
    if (body.bytes() > SMALL_BYTES) {
      loop.run();
      return;
    }
    Threads.onOne(
        () -> {
          loop.run();
          return null;
        });
  }
}
