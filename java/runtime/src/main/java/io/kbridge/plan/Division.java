package io.kbridge.plan;

import java.util.LinkedHashMap;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** How a batch is cut: into chunks of a few samples, as many for each core, which takes them one after the other. */
final class Division {
  // NB: of so many the arrays of a whole batch are larger than caches, and more of them change little.
  private static final long FEW = 8;

  private final int lanes;
  private final long chunk;
  private final int rounds;

  private Division(int lanes, long chunk, int rounds) {
    this.lanes = lanes;
    this.chunk = chunk;
    this.rounds = rounds;
  }

  /**
   * Cuts a batch.
   *
   * @param shapes the shapes of all inputs, the samples first
   * @param cores how many cores there are
   * @param largest how many samples a core may compute at a time
   * @return the parts, or null if there are no equal ones
   */
  static Division of(Map<String, long[]> shapes, int cores, long largest) {
    long samples = shapes.isEmpty() ? 0 : shapes.values().iterator().next()[0];
    boolean equal = shapes.values().stream().allMatch(shape -> shape[0] == samples);
    if (!equal || cores < 2 || samples == 0 || samples % cores != 0) {
      return null;
    }
    long each = samples / cores;
    long chunk = Math.min(largest, each);
    while (each % chunk != 0) {
      chunk--;
    }
    return new Division(cores, chunk, Math.toIntExact(each / chunk));
  }

  /**
   * Cuts a batch into one chunk for each core.
   *
   * @param shapes the shapes of all inputs, the samples first
   * @param cores how many cores there are
   * @return the parts, or null if there are no equal ones
   */
  static Division once(Map<String, long[]> shapes, int cores) {
    return of(shapes, cores, Long.MAX_VALUE);
  }

  /** Returns the division of a batch that is no larger into chunks of the same size, so few that trying takes no long time. */
  Division few() {
    return new Division(lanes, chunk, Math.toIntExact(Math.min(rounds, Math.max(1, FEW / chunk))));
  }

  /** Returns how many samples there are for each core. */
  long each() {
    return chunk * rounds;
  }

  int lanes() {
    return lanes;
  }

  /** Returns how many samples run at a time on each core. */
  long chunk() {
    return chunk;
  }

  int rounds() {
    return rounds;
  }

  /** Returns how many samples the batch has. */
  long samples() {
    return lanes * chunk * rounds;
  }

  /** Returns how many chunks the batch has. */
  int chunks() {
    return Math.multiplyExact(lanes, rounds);
  }

  /** Returns the first sample of a chunk. */
  long first(int which) {
    return which * chunk;
  }

  /** Returns the shapes of a chunk, for shapes of a batch. */
  Map<String, long[]> chunkShapes(Map<String, INDArray> inputs) {
    return PlanCache.shapes(chunkOf(inputs));
  }

  /** Returns the first chunk of a batch. */
  Map<String, INDArray> chunkOf(Map<String, INDArray> inputs) {
    return firstOf(inputs, chunk);
  }

  /** Returns as many samples as this division has, of a batch of more. */
  Map<String, INDArray> samplesOf(Map<String, INDArray> inputs) {
    return firstOf(inputs, samples());
  }

  private static Map<String, INDArray> firstOf(Map<String, INDArray> inputs, long count) {
    Map<String, INDArray> some = new LinkedHashMap<>();
    inputs.forEach(
        (name, array) -> {
          INDArray dense = Plan.dense(array);
          long[] shape = dense.shape().clone();
          shape[0] = count;
          some.put(name, NativeArrays.over(NativeArrays.pointer(dense), dense.dataType(), shape));
        });
    return some;
  }
}
