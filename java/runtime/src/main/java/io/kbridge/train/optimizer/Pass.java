package io.kbridge.train.optimizer;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.DoubleAdder;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Goes over all weights of an optimizer, on all cores. */
final class Pass {
  /** How many values one thread takes at least, if there are as many. */
  private static final int GROUP = 1 << 16;

  private final List<TrainedWeight> weights;
  private final List<List<Piece>> groups = new ArrayList<>();

  Pass(List<TrainedWeight> weights, UpdateRule rule) {
    this.weights = weights;
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
  void run(Map<String, INDArray> gradients, Stages stages) {
    INDArray[] given = new INDArray[weights.size()];
    Kernel[] kernels = new Kernel[given.length];
    for (int i = 0; i < given.length; i++) {
      given[i] = gradients.get(weights.get(i).name());
      kernels[i] = given[i] == null || !stages.updates() ? null : stages.kernel(weights.get(i));
    }
    float[][] clipping = stages.needsNorms() ? stages.clipping(squares(given, stages)) : new float[given.length][];
    each(piece -> piece.update(given[piece.weight()], kernels[piece.weight()], clipping[piece.weight()], stages));
  }

  private double[] squares(INDArray[] gradients, Stages stages) {
    DoubleAdder[] sums = Stream.generate(DoubleAdder::new).limit(gradients.length).toArray(DoubleAdder[]::new);
    each(
        piece -> {
          if (gradients[piece.weight()] != null) {
            sums[piece.weight()].add(piece.squares(gradients[piece.weight()], stages));
          }
        });
    return Stream.of(sums).mapToDouble(DoubleAdder::sum).toArray();
  }

  private void each(Consumer<Piece> action) {
    Stream<List<Piece>> all = groups.stream();
    (groups.size() > 1 ? all.parallel() : all).forEach(group -> group.forEach(action));
  }
}
