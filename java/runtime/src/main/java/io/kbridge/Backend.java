package io.kbridge;

import io.kbridge.plan.NativeArrays;
import java.util.List;
import org.nd4j.linalg.factory.Nd4j;

/** What computes: checks the engine and device asked for against the ND4J backend in the class path. */
final class Backend {
  private static final List<String> ENGINES = List.of("auto", "nd4j", "onednn");
  private static final List<String> PRECISIONS = List.of("float32", "bfloat16", "int8");
  private static final String ONE = " One JVM has one backend: for both, run a second JVM (from Python: host=\"process\").";

  private Backend() {}

  static void require(LoadOptions options) {
    if (!ENGINES.contains(options.engine())) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected option engine to be one of " + ENGINES + ". Received: '" + options.engine() + "'. Choose one of them.");
    }
    Device device = Device.parse(options.device());
    boolean cpu = isCpu();
    requirePrecision(options);
    if (device.isGpu() && cpu) {
      throw unavailable("ND4J's CUDA backend (nd4j-cuda-11.6) in the class path for device '" + device + "'", ONE);
    }
    if (device.isCpu() && !cpu) {
      throw unavailable("ND4J's CPU backend (nd4j-native) in the class path for device 'cpu'", ONE);
    }
    if (!cpu) {
      requireGpu(device, options.engine());
    }
    if (options.threads() > 0) {
      Nd4j.getEnvironment().setMaxMasterThreads(options.threads());
      Nd4j.factory().blas().setMaxThreads(options.threads());
    }
  }

  private static void requirePrecision(LoadOptions options) {
    if (!PRECISIONS.contains(options.precision())) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected option precision to be one of " + PRECISIONS + ". Received: '" + options.precision() + "'. Choose one of them.");
    }
    boolean nd4j = options.engine().equals("nd4j") || !NativeArrays.inHostMemory();
    if (nd4j && !options.precision().equals("float32")) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected precision 'float32' with ND4J's steps (engine 'nd4j', or a GPU). Received: '" + options.precision()
              + "'. Use engine 'onednn' on the CPU for it.");
    }
    if (options.calibration() != null && !options.precision().equals("int8")) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected a calibration with precision 'int8' alone. Received: one with '" + options.precision() + "'. Leave it out, or choose 'int8'.");
    }
  }

  private static void requireGpu(Device device, String engine) {
    int count = Nd4j.getAffinityManager().getNumberOfDevices();
    if (device.index() >= count) {
      throw unavailable("a GPU for device '" + device + "'", " There are " + count + ", numbered from 0.");
    }
    if (engine.equals("onednn")) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT, "Expected engine 'auto' or 'nd4j' on a GPU. Received: 'onednn', which computes on the CPU. Choose one of them.");
    }
  }

  private static KBridgeException unavailable(String expected, String more) {
    return new KBridgeException(
        ErrorCode.DEVICE_UNAVAILABLE,
        "Expected " + expected + ". Received: " + Nd4j.getBackend().getClass().getSimpleName() + "." + more);
  }

  /** Makes the calling thread use the GPU that options ask for. */
  static void selectDevice(LoadOptions options) {
    NativeArrays.useGpu(options.gpu());
  }

  private static boolean isCpu() {
    Thread thread = Thread.currentThread();
    ClassLoader before = thread.getContextClassLoader();
    try {
      // NB: ND4J looks its own files up with the class loader of the thread that uses it first, and a thread of another language has none.
      thread.setContextClassLoader(Backend.class.getClassLoader());
      return Nd4j.getEnvironment().isCPU();
    } catch (ExceptionInInitializerError | NoClassDefFoundError | UnsatisfiedLinkError e) {
      throw new KBridgeException(
          ErrorCode.DEVICE_UNAVAILABLE,
          "Expected an ND4J backend that fits this machine. Received: " + e + ", caused by " + e.getCause()
              + ". Put nd4j-native, with the classifier of this platform, into the class path.",
          e);
    } finally {
      thread.setContextClassLoader(before);
    }
  }
}
