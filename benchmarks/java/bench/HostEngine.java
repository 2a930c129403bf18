package bench;

import io.kbridge.host.HostCall;
import io.kbridge.host.HostModel;
import io.kbridge.host.HostResult;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import org.bytedeco.javacpp.BytePointer;

/** The very calls that kbridge's Python side makes, made in Java: the difference in time is what the bridge costs. */
final class HostEngine implements Engine {
  private final String engine;
  private HostModel model;
  private HostCall prepared;
  private ByteBuffer input;
  private ByteBuffer output;
  private long[] inputs;
  private long[] outputs;
  private long[] outputShape;

  HostEngine(String engine) {
    this.engine = engine;
  }

  @Override
  public void load(Path bundle, int threads) {
    model = HostModel.load(bundle.toString(), "{\"engine\": \"" + engine + "\", \"threads\": " + threads + "}");
  }

  @Override
  public void input(ByteBuffer data, long[] shape) {
    prepared = model.call(new long[][] {shape});
    input = data;
    inputs = new long[] {new BytePointer(input).address()};
    try (HostResult result = prepared.run(inputs)) {
      long[] layout = result.layout(); // address, element type, rank, dims
      outputShape = Arrays.copyOfRange(layout, 3, 3 + (int) layout[2]);
    }
    long length = Arrays.stream(outputShape).reduce(1, Math::multiplyExact);
    output = ByteBuffer.allocateDirect(Math.toIntExact(4 * length)).order(ByteOrder.nativeOrder());
    outputs = new long[] {new BytePointer(output).address()};
  }

  @Override
  public void call() {
    prepared.runInto(inputs, outputs);
  }

  @Override
  public Answer answer() {
    return new Answer(output, outputShape);
  }

  @Override
  public String version() {
    return "kbridge " + HostModel.class.getPackage().getImplementationVersion();
  }
}
