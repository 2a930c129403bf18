package io.kbridge.plan;

import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Finds out which of two plans is faster. */
final class Race {
  private static final int ROUNDS = 4;
  private static final long ENOUGH_NS = 400_000_000;

  private Race() {}

  /**
   * Runs two plans in turn, a few times and not for long.
   *
   * @param one a plan
   * @param other another
   * @param inputs what both are run with
   * @return true if the first is faster
   */
  static boolean isFaster(Plan one, Plan other, Map<String, INDArray> inputs) {
    // NB: not timed, the first run brings memory and code into the caches.
    time(one, inputs);
    time(other, inputs);
    long[] first = {Long.MAX_VALUE, 0};
    long[] second = {Long.MAX_VALUE, 0};
    long start = System.nanoTime();
    for (int round = 0; round < ROUNDS && (round == 0 || System.nanoTime() - start < ENOUGH_NS); round++) {
      note(time(one, inputs), first);
      note(time(other, inputs), second);
      // NB: when every run of one was faster than any of the other, more runs would not change that.
      if (round > 0 && (first[1] < second[0] || second[1] < first[0])) {
        break;
      }
    }
    return first[0] < second[0];
  }

  private static void note(long time, long[] shortestAndLongest) {
    shortestAndLongest[0] = Math.min(shortestAndLongest[0], time);
    shortestAndLongest[1] = Math.max(shortestAndLongest[1], time);
  }

  private static long time(Plan plan, Map<String, INDArray> inputs) {
    long start = System.nanoTime();
    plan.run(inputs, outputs -> null);
    return System.nanoTime() - start;
  }
}
