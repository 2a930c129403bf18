package io.kbridge.plan;

import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Finds out which of two plans is faster. */
final class Race {
  private static final int ROUNDS = 5;
  // NB: more than what disturbs a run of a whole network on a machine with other work, most of the time.
  private static final double CLEAR = 0.8;
  private static final long ENOUGH_NS = 800_000_000;
  // NB: code that the JVM has not compiled yet, threads that start and pages that are new make short runs take several times as long at first.
  private static final long LEAST_NS = 30_000_000;
  private static final long TURN_NS = 500_000;
  // NB: beside another process most short runs take several times as long; those that do not have to be waited for.
  private static final long SHORT_NS = 5_000_000;
  private static final double STEADY = 1.1;

  private final Plan plan;
  private final Map<String, INDArray> inputs;
  private long best = Long.MAX_VALUE;
  private long second = Long.MAX_VALUE;

  private Race(Plan plan, Map<String, INDArray> inputs) {
    this.plan = plan;
    this.inputs = inputs;
  }

  /**
   * Runs two plans in turn, a few times and not for long.
   *
   * @param one a plan
   * @param other another
   * @param inputs what both are run with
   * @return true if the first is faster
   */
  static boolean isFaster(Plan one, Plan other, Map<String, INDArray> inputs) {
    Race a = new Race(one, inputs);
    Race b = new Race(other, inputs);
    long start = System.nanoTime();
    long passed = 0;
    // NB: the first run of each brings memory and code into the caches, and is never the shortest.
    for (int round = 0; round < 2 || passed < LEAST_NS || passed < ENOUGH_NS && isOpen(a, b, round); round++) {
      a.turn();
      b.turn();
      passed = System.nanoTime() - start;
    }
    return a.best < b.best;
  }

  private static boolean isOpen(Race a, Race b, int round) {
    if (Math.min(a.best, b.best) < SHORT_NS) {
      return !a.isSteady() || !b.isSteady();
    }
    boolean clear = Math.min(a.best, b.best) < CLEAR * Math.max(a.best, b.best);
    return round < ROUNDS && !clear;
  }

  /** Tells whether the shortest time was taken about twice. */
  private boolean isSteady() {
    return second < STEADY * best;
  }

  /** Takes the shortest of a few runs that follow each other, as calls of a fast model do; or the time of one. */
  private void turn() {
    long shortest = Long.MAX_VALUE;
    long first = System.nanoTime();
    long start = first;
    do {
      plan.run(inputs, outputs -> null);
      long end = System.nanoTime();
      shortest = Math.min(shortest, end - start);
      start = end;
    } while (start - first < TURN_NS);
    second = Math.min(second, Math.max(best, shortest));
    best = Math.min(best, shortest);
  }
}
