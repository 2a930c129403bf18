package bench;

import io.kbridge.graph.StepGraph;
import io.kbridge.train.Trainer;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** A training step of kbridge; what it answers is the loss. */
final class KBridgeTrainer implements Engine {
  private final String engine;
  private Trainer trainer;
  private Map<String, INDArray> x;
  private Map<String, INDArray> y;

  KBridgeTrainer(String engine) {
    this.engine = engine;
  }

  @Override
  public void load(Path bundle, int threads) {
    trainer = Trainer.open(bundle, engine);
  }

  @Override
  public void input(ByteBuffer data, long[] shape) {
    x = Map.of(name(StepGraph.Role.X), Arrays4j.array(data, shape));
  }

  @Override
  public void labels(ByteBuffer data, long[] shape) {
    y = Map.of(name(StepGraph.Role.Y), Arrays4j.array(data, shape));
  }

  private String name(StepGraph.Role role) {
    return trainer.inputs().stream().filter(input -> input.role() == role).findFirst().orElseThrow().of();
  }

  @Override
  public void call() {
    trainer.resetMetrics();
    trainer.trainOnBatch(x, y, Map.of());
  }

  @Override
  public Answer answer() {
    return Arrays4j.answer(Nd4j.createFromArray(new double[] {trainer.logs().get("loss")}));
  }

  @Override
  public String version() {
    return "kbridge " + Trainer.class.getPackage().getImplementationVersion();
  }
}
