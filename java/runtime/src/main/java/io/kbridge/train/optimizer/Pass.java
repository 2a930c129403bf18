package io.kbridge.train.optimizer;

import io.kbridge.plan.HostMemory;
import io.kbridge.plan.Threads;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.DoubleAdder;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Goes over all weights of an optimizer, on all cores. */
final class Pass {
  /** How many values one thread takes at least, if there are as many. */
  private static final int GROUP = 1 << 17;

  private final List<TrainedWeight> weights;
  private final List<List<Piece>> groups = new ArrayList<>();
  private final HostMemory[] gradients;
  // NB: kept from step to step, since it is as large as the weight and mostly zeros.
  private final float[][] room;

  Pass(List<TrainedWeight> weights, UpdateRule rule) {
    this.weights = weights;
    this.gradients = new HostMemory[weights.size()];
    this.room = new float[weights.size()][];
    List<Piece> group = new ArrayList<>();
    long size = 0;
    for (int i = 0; i < weights.size(); i++) {
      for (Piece piece : Piece.of(weights.get(i), i, rule.takesWhole(weights.get(i)), GROUP)) {
        group.add(piece);
        size += piece.length();
        if (size >= GROUP) {
          groups.add(group);
          group = new ArrayList<>();
          size = 0;
        }
      }
    }
    if (!group.isEmpty()) {
      groups.add(group);
    }
  }

  /** Does a step. */
  void run(Map<String, INDArray> found, Map<String, RowGradient> inRows, Stages stages) {
    HostMemory[] given = new HostMemory[weights.size()];
    Kernel[] kernels = new Kernel[given.length];
    for (int i = 0; i < given.length; i++) {
      given[i] = fetched(i, found.get(weights.get(i).name()));
      kernels[i] = given[i] == null || !stages.updates() ? null : stages.kernel(weights.get(i));
    }
    weights.forEach(weight -> weight.eachMemory(HostMemory::fetch));
    Rows[] rows = rows(inRows, stages);
    float[][] clipping = stages.needsNorms() ? stages.clipping(squares(given, rows, stages)) : new float[given.length][];
    for (int i = 0; i < rows.length; i++) {
      if (rows[i] != null && stages.addsRowsUpInClipping()) {
        rows[i] = null;
      } else if (rows[i] != null) {
        room[i] = room[i] == null ? new float[(int) weights.get(i).array().length()] : room[i];
        rows[i].prepare(stages, clipping[i], stages.magnitude(), room[i]);
      }
    }
    each(piece -> piece.update(given[piece.weight()], rows[piece.weight()], kernels[piece.weight()], clipping[piece.weight()], stages));
    Stream.of(rows).filter(Objects::nonNull).forEach(Rows::clear);
    weights.forEach(weight -> weight.eachMemory(HostMemory::publish));
  }

  private HostMemory fetched(int i, INDArray gradient) {
    if (gradient == null) {
      return null;
    }
    gradients[i] = gradients[i] == null ? new HostMemory(gradient) : gradients[i];
    gradients[i].set(gradient);
    gradients[i].fetch();
    return gradients[i];
  }

  private Rows[] rows(Map<String, RowGradient> given, Stages stages) {
    Rows[] rows = new Rows[weights.size()];
    for (int i = 0; i < rows.length; i++) {
      RowGradient gradient = given.get(weights.get(i).name());
      if (gradient != null && !stages.addsRowsUp()) {
        rows[i] = new Rows(gradient, weights.get(i).shape(), stages.scale());
      }
    }
    return rows;
  }

  private double[] squares(HostMemory[] given, Rows[] rows, Stages stages) {
    DoubleAdder[] sums = Stream.generate(DoubleAdder::new).limit(given.length).toArray(DoubleAdder[]::new);
    each(
        piece -> {
          if (given[piece.weight()] != null && rows[piece.weight()] == null) {
            sums[piece.weight()].add(piece.squares(given[piece.weight()], stages));
          }
        });
    double[] squares = Stream.of(sums).mapToDouble(DoubleAdder::sum).toArray();
    for (int i = 0; i < squares.length; i++) {
      squares[i] += rows[i] == null ? 0 : rows[i].squares();
    }
    return squares;
  }

  /** Does something with all pieces, on as many threads as a call may use; each takes the next group that is left. */
  private void each(Consumer<Piece> action) {
    AtomicInteger next = new AtomicInteger();
    IntStream threads = IntStream.range(0, Math.min(groups.size(), Threads.usual()));
    threads.parallel().forEach(
        thread -> {
          for (int i = next.getAndIncrement(); i < groups.size(); i = next.getAndIncrement()) {
            groups.get(i).forEach(action);
          }
        });
  }
}
