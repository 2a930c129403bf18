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
   * @param optimizer the optimizer that trains them
   */
  public void save(Path target, Map<String, INDArray> weights, Optimizer optimizer) {
    Map<String, INDArray> state = new LinkedHashMap<>();
    optimizer.variables().forEach(variable -> state.put(variable.path(), variable.array()));
    saver.save(target, weights, optimizer.describe(), state, Map.of(), Map.of());
  }
}
