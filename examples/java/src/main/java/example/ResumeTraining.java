package example;

import io.kbridge.train.Trainer;
import io.kbridge.train.TrainingListener;
import java.io.File;
import java.nio.file.Path;
import java.util.Map;
import org.nd4j.linalg.dataset.DataSet;
import org.nd4j.linalg.dataset.ViewIterator;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Goes on with a training that Keras began: weights, optimizer, learning rate and metrics are those of the bundle. What it writes is a bundle
 * again, which Keras takes back with {@code kbridge.import_weights}. examples/resume_training.py --java is the whole way.
 */
public final class ResumeTraining {
  private ResumeTraining() {}

  /**
   * Runs the example.
   *
   * @param args the bundle, samples and labels as .npy files, the size of a batch, and the bundle to write
   */
  public static void main(String[] args) {
    if (args.length != 5) {
      System.err.println("Usage: ResumeTraining <bundle.h5> <x.npy> <y.npy> <batch size> <trained.h5>");
      System.exit(2);
    }
    DataSet data = new DataSet(Nd4j.createFromNpyFile(new File(args[1])), Nd4j.createFromNpyFile(new File(args[2])));
    try (Trainer trainer = Trainer.open(Path.of(args[0]), "auto")) {
      long before = trainer.optimizer().iterations();
      Map<String, Double> logs = trainer.fit(new ViewIterator(data, Integer.parseInt(args[3])), 1, new Progress());
      System.out.println("steps " + before + " to " + trainer.optimizer().iterations() + ": " + logs);
      trainer.save(Path.of(args[4]));
    }
  }

  /** Tells now and then how it goes. */
  private static final class Progress implements TrainingListener {
    @Override
    public void batchEnded(Trainer trainer, int epoch, long batch) {
      if (batch % 20 == 0) {
        System.out.println("batch " + batch + ": " + trainer.logs());
      }
    }
  }
}
