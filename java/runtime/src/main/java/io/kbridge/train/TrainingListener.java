package io.kbridge.train;

import java.util.Map;

/** Is told how training goes on. It may call {@link Trainer#stop}. */
public interface TrainingListener {
  /**
   * Is called after each batch.
   *
   * @param trainer what trains; {@link Trainer#logs} tells loss and metrics so far
   * @param epoch number of the epoch, from 0
   * @param batch number of the batch in the epoch, from 0
   */
  default void batchEnded(Trainer trainer, int epoch, long batch) {}

  /**
   * Is called after each epoch.
   *
   * @param trainer what trains
   * @param epoch number of the epoch, from 0
   * @param logs loss and metrics of the epoch, by Keras's names
   */
  default void epochEnded(Trainer trainer, int epoch, Map<String, Double> logs) {}
}
