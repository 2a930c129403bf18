package io.kbridge;

import io.kbridge.bundle.Bundle;
import io.kbridge.bundle.BundleSaver;
import io.kbridge.plan.NativeArrays;
import io.kbridge.train.optimizer.Checkpoints;
import io.kbridge.train.optimizer.Optimizer;
import java.nio.file.Path;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Loads models from bundles.
 *
 * <pre>{@code
 * try (KBridgeModel model = KBridge.load(Path.of("model.h5"))) {
 *   INDArray answer = model.predict(image);
 * }
 * }</pre>
 */
public final class KBridge {
  static {
    OpenMp.quieten();
  }

  private KBridge() {}

  /**
   * Loads a model with the default options.
   *
   * @param bundle a file written by {@code kbridge.export}
   * @return the model; the caller closes it
   * @throws KBridgeException BUNDLE_NOT_FOUND, BUNDLE_FORMAT, SCHEMA_VERSION, DIGEST_MISMATCH or UNSUPPORTED_OP
   */
  public static KBridgeModel load(Path bundle) {
    return load(bundle, LoadOptions.defaults());
  }

  /**
   * Loads a model.
   *
   * @param bundle a file written by {@code kbridge.export}
   * @param options how to load and run it
   * @return the model; the caller closes it
   * @throws KBridgeException BUNDLE_NOT_FOUND, BUNDLE_FORMAT, SCHEMA_VERSION, DIGEST_MISMATCH, UNSUPPORTED_OP, INVALID_INPUT for an unknown
   *     engine or device, DEVICE_UNAVAILABLE, or, on a GPU, SELF_TEST_FAILED: there the golden samples are run first
   */
  public static KBridgeModel load(Path bundle, LoadOptions options) {
    Backend.require(options);
    KBridgeModel model = new KBridgeModel(Bundle.open(bundle, options.verifyDigests()), options);
    if (!NativeArrays.inHostMemory() && model.hasGolden()) {
      prove(model);
    }
    return model;
  }

  /** Lets nothing out that a GPU computes differently: no driver, card or library there is known to be right. */
  private static void prove(KBridgeModel model) {
    try {
      model.selfTest().orThrow();
    } catch (RuntimeException e) {
      model.close();
      throw e;
    }
  }

  /**
   * Writes what a network has learnt into the bundle that it was made of, by {@link KBridgeModel#toComputationGraph()} or
   * {@link KBridgeModel#toMultiLayerNetwork()}. The file is the old one or the whole new one at any time. Golden samples go, since they tell what the
   * weights of before gave. The optimizer gets the updater's state, the number of steps done, and the learning rate if it is a number; it stays as it
   * was if the network has no updater's state (saved without it) or an updater of another kind. In Python,
   * {@code kbridge.import_weights(model, path)} takes it from there.
   *
   * @param bundle the bundle
   * @param network a {@code ComputationGraph} or {@code MultiLayerNetwork} with the bundle's layers, trained, or saved and loaded since
   * @throws KBridgeException INVALID_INPUT if the network is not one of this bundle, or has weights that are not finite; BUNDLE_NOT_FOUND if the file
   *     cannot be written; as {@link #load} besides
   */
  public static void updateBundle(Path bundle, Object network) {
    Bundle opened = Bundle.open(bundle, true);
    NetworkForms forms = NetworkForms.find();
    Map<String, INDArray> weights = forms.weights(opened, network);
    Optimizer optimizer = forms.optimizer(opened, network, weights);
    if (optimizer == null) {
      BundleSaver.of(opened).save(bundle, weights, Map.of(), null, Map.of());
    } else {
      new Checkpoints(opened).save(bundle, weights, Map.of(), optimizer);
    }
  }
}
