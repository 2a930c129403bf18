package bench;

import io.jhdf.HdfFile;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.deeplearning4j.nn.api.Model;
import org.deeplearning4j.nn.graph.ComputationGraph;
import org.deeplearning4j.nn.modelimport.keras.KerasModelImport;
import org.deeplearning4j.nn.multilayer.MultiLayerNetwork;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Deeplearning4j's own importer and layers. */
final class StockEngine implements Engine {
  private Model model;
  private INDArray input;
  private INDArray output;

  @Override
  public void load(Path file, int threads) throws Exception {
    String config;
    try (HdfFile hdf = new HdfFile(file)) {
      config = hdf.getAttribute("model_config").getData().toString();
    }
    boolean sequential = config.matches("(?s)\\s*\\{\\s*\"class_name\"\\s*:\\s*\"Sequential\".*");
    model =
        sequential
            ? KerasModelImport.importKerasSequentialModelAndWeights(file.toString(), false)
            : KerasModelImport.importKerasModelAndWeights(file.toString(), false);
  }

  @Override
  public void input(ByteBuffer data, long[] shape) {
    input = Arrays4j.array(data, shape);
  }

  @Override
  public void call() {
    if (model instanceof MultiLayerNetwork) {
      output = ((MultiLayerNetwork) model).output(input, false);
    } else {
      output = ((ComputationGraph) model).outputSingle(false, input);
    }
  }

  @Override
  public Answer answer() {
    return Arrays4j.answer(output);
  }

  @Override
  public String version() {
    return "Deeplearning4j 1.0.0-M2.1";
  }
}
