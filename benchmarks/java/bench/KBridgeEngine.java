package bench;

import io.kbridge.KBridge;
import io.kbridge.KBridgeModel;
import io.kbridge.LoadOptions;
import io.kbridge.plan.NativeArrays;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** kbridge as a Java program uses it that calls often: arrays are made once, and outputs read where they lie. */
final class KBridgeEngine implements Engine {
  private final String engine;
  private KBridgeModel model;
  private Map<String, INDArray> inputs;
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
    inputs = Map.of(model.inputs().keySet().iterator().next(), Arrays4j.array(data, shape));
    output = null;
  }

  @Override
  public void call() {
    model.predict(inputs, this::keep);
  }

  /** Takes the output over into memory that is kept, as a program does that calls often. */
  private Void keep(List<INDArray> outputs) {
    INDArray result = outputs.get(0);
    if (output == null) {
      output = result.dup('c');
    } else {
      Pointer.memcpy(NativeArrays.pointer(output), NativeArrays.pointer(result), result.length() * result.dataType().width());
    }
    return null;
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
