package bench;

import io.kbridge.KBridge;
import io.kbridge.KBridgeModel;
import io.kbridge.LoadOptions;
import java.nio.file.Path;
import java.nio.file.Paths;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Times a model from load to first prediction, when another model has been run before: for benchmarks/starting. */
public final class Start {
  private Start() {}

  /** Arguments: threads, bundle of the model before, bundle of the model to time; both of one input of an image of 224x224x3. */
  public static void main(String[] args) {
    int threads = Integer.parseInt(args[0]);
    time(Paths.get(args[1]), threads);
    long first = time(Paths.get(args[2]), threads);
    long again = time(Paths.get(args[2]), threads);
    System.out.println("{\"first\": " + first + ", \"again\": " + again + "}");
    // NB: the libraries' own threads would keep the process.
    System.exit(0);
  }

  private static long time(Path bundle, int threads) {
    INDArray x = Nd4j.rand(DataType.FLOAT, 1, 224, 224, 3);
    long start = System.nanoTime();
    try (KBridgeModel model = KBridge.load(bundle, LoadOptions.builder().threads(threads).build())) {
      model.predict(x);
      return System.nanoTime() - start;
    }
  }
}
