package bench;

import io.kbridge.KBridge;
import io.kbridge.KBridgeModel;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** {@code fit} of Deeplearning4j's own network with the same weights and optimizer; what it answers is the loss. */
final class StockTrainer implements Engine {
  private ComputationGraph network;
  private INDArray[] x;
  private INDArray[] y;

  @Override
  public void load(Path bundle, int threads) {
    try (KBridgeModel model = KBridge.load(bundle)) {
      network = model.toComputationGraph();
    }
  }

  @Override
  public void input(ByteBuffer data, long[] shape) {
    x = new INDArray[] {Arrays4j.array(data, shape)};
  }

  @Override
  public void labels(ByteBuffer data, long[] shape) {
    y = new INDArray[] {Arrays4j.array(data, shape)};
  }

  @Override
  public void call() {
    network.fit(x, y);
  }

  @Override
  public Answer answer() {
    return Arrays4j.answer(Nd4j.createFromArray(new double[] {network.score()}));
  }

  @Override
  public String version() {
    return "Deeplearning4j 1.0.0-M2.1";
  }
}
