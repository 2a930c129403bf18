package io.kbridge;

import java.util.List;
import org.nd4j.linalg.factory.Nd4j;

/** What computes: checks the engine and device asked for against the ND4J backend in the class path. */
final class Backend {
  private static final List<String> ENGINES = List.of("auto", "nd4j", "onednn");
  private static final List<String> DEVICES = List.of("auto", "cpu", "gpu");

  private Backend() {}

  static void require(LoadOptions options) {
    requireOneOf("engine", ENGINES, options.engine());
    requireOneOf("device", DEVICES, options.device());
    boolean cpu = isCpu();
    if (options.device().equals("gpu") || !cpu) {
      throw new KBridgeException(
          ErrorCode.DEVICE_UNAVAILABLE,
          "Expected " + (cpu ? "a device this runtime can use" : "an ND4J backend for the CPU") + ". Received: device '"
              + options.device() + "' with the backend " + Nd4j.getBackend().getClass().getSimpleName()
              + ". This version computes on the CPU only: use device 'cpu' or 'auto' with nd4j-native in the class path.");
    }
    if (options.threads() > 0) {
      Nd4j.getEnvironment().setMaxMasterThreads(options.threads());
      Nd4j.factory().blas().setMaxThreads(options.threads());
    }
  }

  private static boolean isCpu() {
    try {
      return Nd4j.getEnvironment().isCPU();
    } catch (ExceptionInInitializerError | NoClassDefFoundError | UnsatisfiedLinkError e) {
      throw new KBridgeException(
          ErrorCode.DEVICE_UNAVAILABLE,
          "Expected an ND4J backend that fits this machine. Received: " + e + ", caused by " + e.getCause()
              + ". Put nd4j-native, with the classifier of this platform, into the class path.",
          e);
    }
  }

  private static void requireOneOf(String option, List<String> allowed, String value) {
    if (!allowed.contains(value)) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected option " + option + " to be one of " + allowed + ". Received: '" + value + "'. Choose one of them.");
    }
  }
}
