package io.kbridge.dl4j;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.util.LinkedHashSet;
import java.util.Set;

/** What is in the way of a network: everything that is found, told at once. */
final class Problems {
  private final Set<String> lines = new LinkedHashSet<>();

  void add(String layer, String className, String reason) {
    lines.add("'" + layer + "' (" + className + "): " + reason);
  }

  /** Throws if there are any. */
  void orThrow() {
    if (!lines.isEmpty()) {
      throw new KBridgeException(
          ErrorCode.UNSUPPORTED_OP,
          "Expected a model that DL4J's own layers compute and train as Keras does. Received layers that they do not:\n  "
              + String.join("\n  ", lines)
              + "\nRun it with KBridgeModel.predict(), which knows these layers, or change them.");
    }
  }
}
