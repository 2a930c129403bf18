package bench;

import io.kbridge.KBridge;
import io.kbridge.KBridgeModel;
import io.kbridge.LoadOptions;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.nd4j.linalg.api.ndarray.INDArray;

/** kbridge as a Java program uses it. */
final class KBridgeEngine implements Engine {
  private final String engine;
  private KBridgeModel model;
  private INDArray input;
  private INDArray output;

  KBridgeEngine(String engine) {
    this.engine = engine;
  }

  @Override
  public void load(Path bundle, int threads) {
    model = KBridge.load(bundle, LoadOptions.builder().engine(engine).threads(threads).build());
  }

  @Override
  public void input(ByteBuffer data, long[] shape) {
    input = Arrays4j.array(data, shape);
  }

  @Override
  public void call() {
    // NB: closed at once, as a service would: garbage collection comes late for memory outside the Java heap.
    if (output != null) {
      output.close();
    }
    output = model.predict(input);
  }

  @Override
  public Answer answer() {
    return Arrays4j.answer(output);
  }

  @Override
  public String version() {
    return "kbridge " + KBridge.class.getPackage().getImplementationVersion();
  }
}
