package io.kbridge;

import io.kbridge.bundle.Bundle;
import java.nio.file.Path;

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
   *     engine or device, or DEVICE_UNAVAILABLE
   */
  public static KBridgeModel load(Path bundle, LoadOptions options) {
    Backend.require(options);
    return new KBridgeModel(Bundle.open(bundle, options.verifyDigests()), options);
  }
}
