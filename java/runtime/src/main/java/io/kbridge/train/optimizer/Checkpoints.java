package io.kbridge.train.optimizer;

import io.kbridge.bundle.Bundle;
import io.kbridge.bundle.BundleSaver;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Saves what is trained as a bundle that Keras can go on from. Made before training begins, see {@link BundleSaver}. */
public final class Checkpoints {
  private final BundleSaver saver;

  /**
   * Prepares saving.
   *
   * @param bundle the bundle that is trained
   */
  public Checkpoints(Bundle bundle) {
    saver = BundleSaver.of(bundle);
  }

  /**
   * Saves a bundle.
   *
   * @param target where to
   * @param weights the weights by name, as they are now
   * @param states variables of the steps that go on where they are, by name
   * @param optimizer the optimizer that trains them
   */
  public void save(Path target, Map<String, INDArray> weights, Map<String, INDArray> states, Optimizer optimizer) {
    Map<String, INDArray> slots = new LinkedHashMap<>();
    optimizer.variables().forEach(variable -> slots.put(variable.path(), variable.array()));
    saver.save(target, weights, states, optimizer.describe(), slots);
  }
}
