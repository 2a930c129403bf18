package example;

import io.kbridge.KBridge;
import io.kbridge.KBridgeModel;
import io.kbridge.LoadOptions;
import io.kbridge.TensorInfo;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Loads a bundle, checks it against the answers that Keras gave, and predicts. */
public final class Predict {
  private Predict() {}

  /**
   * Runs the example.
   *
   * @param args the bundle's path, and what to compute on: auto (the default), cpu, gpu, gpu:1 ...
   */
  public static void main(String[] args) {
    if (args.length < 1 || args.length > 2) {
      System.err.println("Usage: Predict <bundle.h5> [device]");
      System.exit(2);
    }
    LoadOptions options = LoadOptions.builder().device(args.length > 1 ? args[1] : "auto").build();
    try (KBridgeModel model = KBridge.load(Path.of(args[0]), options)) {
      System.out.println("model    " + model.name());
      System.out.println("inputs   " + model.inputs().values());
      System.out.println("outputs  " + model.outputs().values());

      // The bundle holds a few samples with native Keras's answers: the proof that this machine gives the same.
      System.out.println("selftest " + model.selfTest().orThrow());

      Map<String, INDArray> inputs = new LinkedHashMap<>();
      for (TensorInfo input : model.inputs().values()) {
        inputs.put(input.name(), half(input));
      }
      model.predict(inputs).forEach(
          (name, values) -> System.out.println("predict  " + name + " " + Arrays.toString(values.toDoubleVector())));
    }
  }

  /** Makes a batch of one in which every number is a half; sizes that the model leaves open become 1. */
  private static INDArray half(TensorInfo input) {
    long[] shape = Arrays.stream(input.shape()).map(size -> Math.max(size, 1)).toArray();
    return Nd4j.valueArrayOf(shape, 0.5).castTo(input.dtype());
  }
}
