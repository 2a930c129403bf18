package io.kbridge.plan;

import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Finds out which of two plans is faster. */
final class Race {
  private static final int ROUNDS = 5;
  // NB: more than what disturbs a run of a whole network on a machine with other work, most of the time.
  private static final double CLEAR = 0.8;
  private static final long ENOUGH_NS = 400_000_000;
  // NB: code that the JVM has not compiled yet, threads that start and pages that are new make short runs take several times as long at first.
  private static final long LEAST_NS = 30_000_000;

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
    long best = Long.MAX_VALUE;
    long bestOther = Long.MAX_VALUE;
    long start = System.nanoTime();
    // NB: the first run of each brings memory and code into the caches, and is never the shortest.
    long passed = 0;
    for (int round = 0; round < 2 || passed < LEAST_NS || round < ROUNDS && passed < ENOUGH_NS && !isClear(best, bestOther); round++) {
      best = Math.min(best, time(one, inputs));
      bestOther = Math.min(bestOther, time(other, inputs));
      passed = System.nanoTime() - start;
    }
    return best < bestOther;
  }

  private static boolean isClear(long best, long bestOther) {
    return Math.min(best, bestOther) < CLEAR * Math.max(best, bestOther);
  }

  private static long time(Plan plan, Map<String, INDArray> inputs) {
    long start = System.nanoTime();
    plan.run(inputs, outputs -> null);
    return System.nanoTime() - start;
  }
}
