package bench;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Map;

/** ONNX Runtime's Java API, with the input and output in direct buffers. */
final class OnnxRuntimeEngine implements Engine {
  private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
  private OrtSession session;
  private Map<String, OnnxTensor> feeds;
  private OrtSession.Result result;

  @Override
  public void load(Path model, int threads) throws OrtException {
    try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(threads);
      options.setInterOpNumThreads(1);
      session = environment.createSession(model.toString(), options);
    }
  }

  @Override
  public void input(ByteBuffer data, long[] shape) throws OrtException {
    String name = session.getInputNames().iterator().next();
    feeds = Map.of(name, OnnxTensor.createTensor(environment, data.asFloatBuffer(), shape));
  }

  @Override
  public void call() throws OrtException {
    if (result != null) {
      result.close();
    }
    result = session.run(feeds);
  }

  @Override
  public Answer answer() {
    OnnxTensor tensor = (OnnxTensor) result.get(0);
    FloatBuffer values = tensor.getFloatBuffer();
    ByteBuffer data = ByteBuffer.allocateDirect(4 * values.remaining()).order(ByteOrder.nativeOrder());
    data.asFloatBuffer().put(values);
    return new Answer(data, tensor.getInfo().getShape());
  }

  @Override
  public String version() {
    return "onnxruntime (Java) " + environment.getVersion();
  }
}
