import com.fasterxml.jackson.databind.ObjectMapper;
import io.kbridge.KBridgeException;
import io.kbridge.train.Trainer;
import io.kbridge.train.TrainingListener;
import java.io.File;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.dataset.MultiDataSet;
import org.nd4j.linalg.dataset.ViewIterator;
import org.nd4j.linalg.dataset.api.iterator.TestMultiDataSetIterator;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** Trains and evaluates over Deeplearning4j's iterators; prints what it finds as JSON, a line for each part. */
public final class Fits {
  private static final int BATCH = 16;
  private static String folder;

  private Fits() {}

  public static void main(String[] args) throws Exception {
    folder = args[0];
    one();
    several();
  }

  private static INDArray array(String name) {
    return Nd4j.createFromNpyFile(new File(folder, name + ".npy"));
  }

  private static void tell(String name, Object value) throws Exception {
    System.out.println(name + " = " + new ObjectMapper().writeValueAsString(value));
  }

  /** What a listener is told; it ends training in the second epoch, if it should. */
  private static final class Told implements TrainingListener {
    private final List<String> batches = new ArrayList<>();
    private final List<Map<String, Double>> epochs = new ArrayList<>();
    private final boolean stops;

    Told(boolean stops) {
      this.stops = stops;
    }

    @Override
    public void batchEnded(Trainer trainer, int epoch, long batch) {
      batches.add(epoch + "/" + batch);
      if (stops && epoch == 1) {
        trainer.stop();
      }
    }

    @Override
    public void epochEnded(Trainer trainer, int epoch, Map<String, Double> logs) {
      epochs.add(logs);
    }
  }

  private static void one() throws Exception {
    DataSet data = new DataSet(array("x"), array("y"));
    DataSet weighted = new DataSet(array("x"), array("y"), null, array("w"));
    try (Trainer trainer = Trainer.open(Path.of(folder, "one.h5"), "auto")) {
      tell("before", trainer.evaluate(new ViewIterator(data, BATCH)));
      Told told = new Told(false);
      trainer.fit(new ViewIterator(data, BATCH), 2, told);
      tell("epochs", told.epochs);
      tell("batches", told.batches);
      tell("weighted", trainer.fit(new ViewIterator(weighted, BATCH), 1));
      tell("evaluated", trainer.evaluate(new ViewIterator(weighted, BATCH)));
      long steps = trainer.optimizer().iterations();
      Told stopping = new Told(true);
      trainer.fit(new ViewIterator(data, BATCH), 5, stopping);
      tell("stopped", List.of(stopping.epochs.size(), trainer.optimizer().iterations() - steps));
      tell("refused", List.of(
          error(() -> trainer.fit(new ViewIterator(data, BATCH), 0)),
          error(() -> trainer.fit(new TestMultiDataSetIterator(1), 1)),
          error(() -> trainer.fit(new TestMultiDataSetIterator(1, new MultiDataSet(parts("x", "x", 0), parts("y", 0))), 1))));
    }
  }

  private static String error(Runnable wrong) {
    try {
      wrong.run();
      return "nothing";
    } catch (KBridgeException e) {
      return e.code() + " " + e.getMessage();
    }
  }

  private static void several() throws Exception {
    List<MultiDataSet> batches = new ArrayList<>();
    for (int from = 0; from < array("x").size(0); from += BATCH) {
      MultiDataSet batch = new MultiDataSet(parts("left", "right", from), parts("first", "second", from));
      batch.setLabelsMaskArray(parts("w", "v", from));
      batches.add(batch);
    }
    TestMultiDataSetIterator data = new TestMultiDataSetIterator(1, batches.toArray(new MultiDataSet[0]));
    try (Trainer trainer = Trainer.open(Path.of(folder, "several.h5"), "auto")) {
      tell("several", trainer.fit(data, 2));
      tell("several evaluated", trainer.evaluate(data));
      Map<String, List<Float>> weights = new LinkedHashMap<>();
      trainer.weights().forEach((name, array) -> weights.put(name, floats(array)));
      tell("weights", weights);
    }
  }

  private static List<Float> floats(INDArray array) {
    List<Float> list = new ArrayList<>();
    for (float number : array.reshape(array.length()).toFloatVector()) {
      list.add(number);
    }
    return list;
  }

  private static INDArray[] parts(String name, int from) {
    INDArray all = array(name);
    return new INDArray[] {all.get(NDArrayIndex.interval(from, Math.min(from + BATCH, all.size(0))))};
  }

  private static INDArray[] parts(String first, String second, int from) {
    return new INDArray[] {parts(first, from)[0], parts(second, from)[0]};
  }
}
