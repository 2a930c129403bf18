package io.kbridge.train;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.StepGraph;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.api.DataSet;
import org.nd4j.linalg.dataset.api.MultiDataSet;
import org.nd4j.linalg.dataset.api.iterator.DataSetIterator;
import org.nd4j.linalg.dataset.api.iterator.MultiDataSetIterator;

/** Training and evaluation over Deeplearning4j's iterators. */
final class Fitting {
  private final Trainer trainer;

  Fitting(Trainer trainer) {
    this.trainer = trainer;
  }

  /** Does something with each batch of the data. */
  @FunctionalInterface
  interface Batches {
    /**
     * Goes through all data once.
     *
     * @param each is given each batch; returns false to end
     */
    void forEach(Each each);
  }

  /** Takes a batch. */
  @FunctionalInterface
  interface Each {
    /**
     * Takes a batch.
     *
     * @param features arrays in the order of the model's inputs
     * @param labels arrays in the order of the labels
     * @param weights sample weights in the order of the labels, null or with nulls where there are none
     * @return false to end
     */
    boolean take(INDArray[] features, INDArray[] labels, INDArray[] weights);
  }

  static Batches of(MultiDataSetIterator data) {
    return each -> {
      data.reset();
      boolean more = true;
      while (more && data.hasNext()) {
        MultiDataSet batch = data.next();
        more = each.take(batch.getFeatures(), batch.getLabels(), batch.getLabelsMaskArrays());
      }
    };
  }

  static Batches of(DataSetIterator data) {
    return each -> {
      data.reset();
      boolean more = true;
      while (more && data.hasNext()) {
        DataSet batch = data.next();
        INDArray mask = batch.getLabelsMaskArray();
        more =
            each.take(
                new INDArray[] {batch.getFeatures()},
                new INDArray[] {batch.getLabels()},
                mask == null ? null : new INDArray[] {mask});
      }
    };
  }

  Map<String, Double> fit(Batches data, int epochs, List<TrainingListener> listeners) {
    if (epochs < 1) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT, "Expected at least one epoch. Received: " + epochs + ". Give a larger number.");
    }
    trainer.takeStop();
    Map<String, Double> logs = Map.of();
    for (int epoch = 0; epoch < epochs; epoch++) {
      trainer.resetMetrics();
      int now = epoch;
      long[] count = {0};
      boolean[] stop = {false};
      data.forEach(
          (features, labels, weights) -> {
            trainer.trainOnBatch(named(StepGraph.Role.X, features), named(StepGraph.Role.Y, labels), named(StepGraph.Role.SAMPLE_WEIGHT, weights));
            long batch = count[0]++;
            listeners.forEach(listener -> listener.batchEnded(trainer, now, batch));
            stop[0] |= trainer.takeStop();
            return !stop[0];
          });
      requireData(count[0]);
      logs = trainer.logs();
      for (TrainingListener listener : listeners) {
        listener.epochEnded(trainer, epoch, logs);
      }
      if (stop[0] | trainer.takeStop()) {
        break;
      }
    }
    trainer.finish();
    return logs;
  }

  Map<String, Double> evaluate(Batches data) {
    trainer.resetMetrics();
    long[] count = {0};
    data.forEach(
        (features, labels, weights) -> {
          trainer.testOnBatch(named(StepGraph.Role.X, features), named(StepGraph.Role.Y, labels), named(StepGraph.Role.SAMPLE_WEIGHT, weights));
          count[0]++;
          return true;
        });
    requireData(count[0]);
    return trainer.logs();
  }

  private static void requireData(long batches) {
    if (batches == 0) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT, "Expected an iterator with batches. Received: one without any. Check the data, and that it can be reset.");
    }
  }

  /** Gives arrays the names of what they belong to, by their order. */
  private Map<String, INDArray> named(StepGraph.Role role, INDArray[] arrays) {
    List<String> names = new ArrayList<>();
    trainer.inputs().stream().filter(input -> input.role() == role).forEach(input -> names.add(input.of()));
    Map<String, INDArray> found = new LinkedHashMap<>();
    int given = arrays == null ? 0 : arrays.length;
    if (given != names.size() && !(role == StepGraph.Role.SAMPLE_WEIGHT && given == 0)) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected " + names.size() + " arrays, for " + names + ". Received: " + given + ". Give as many as the model takes, in that order.");
    }
    for (int i = 0; i < given; i++) {
      if (arrays[i] != null) {
        found.put(names.get(i), arrays[i]);
      }
    }
    return found;
  }
}
