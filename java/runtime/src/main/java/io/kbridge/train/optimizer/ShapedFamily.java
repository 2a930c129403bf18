package io.kbridge.train.optimizer;

import io.kbridge.train.optimizer.MomentsFamily.Moments;
import java.util.Arrays;
import java.util.List;

/** Optimizers that look at a weight as a whole: Lamb and Adafactor. */
public final class ShapedFamily implements OptimizerFamily {
  /** Makes the family; for the service loader. */
  public ShapedFamily() {}

  @Override
  public void register(OptimizerRegistry registry) {
    registry.optimizer("Lamb", Lamb::new);
    registry.optimizer("Adafactor", Adafactor::new);
  }

  /** Sums squares in double precision, which differs from any order of summing in float32 by less than those from each other. */
  static double squares(float[] x, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
      sum += (double) x[i] * x[i];
    }
    return sum;
  }

  private static float rootMean(float[] squares, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) {
      sum += squares[i];
    }
    return StepState.sqrt((float) (sum / n));
  }

  private static float rootMeanSquare(float[] x, int n) {
    return StepState.sqrt((float) (squares(x, n) / n));
  }

  private static final class Lamb extends Moments {
    Lamb(Config config) {
      super(config);
    }

    @Override
    public boolean takesWhole(TrainedWeight weight) {
      return true;
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      float correction1 = 1 - step.toLocalStep(beta1);
      float correction2 = 1 - step.toLocalStep(beta2);
      return (w, g, q, slots, n) -> {
        float[] m = slots[0];
        float[] v = slots[1];
        for (int i = 0; i < n; i++) {
          m[i] += (g[i] - m[i]) * rest1;
          v[i] += (q[i] - v[i]) * rest2;
          g[i] = m[i] / correction1 / ((float) Math.sqrt(v[i] / correction2) + epsilon);
        }
        float norm = StepState.sqrt((float) squares(w, n));
        float updateNorm = StepState.sqrt((float) squares(g, n));
        float rate = (norm > 0 && updateNorm > 0 ? norm / updateNorm : 1) * step.learningRate();
        for (int i = 0; i < n; i++) {
          w[i] -= rate * g[i];
        }
      };
    }
  }

  private static final class Adafactor implements UpdateRule {
    private final float decay;
    private final float epsilon1;
    private final float epsilon2;
    private final float threshold;

    Adafactor(Config config) {
      decay = (float) config.number("beta_2_decay");
      epsilon1 = (float) config.number("epsilon_1");
      epsilon2 = (float) config.number("epsilon_2");
      threshold = (float) config.number("clip_threshold");
      // NB: Keras bounds the rate by 1 / sqrt(step) in any case.
      config.flag("relative_step");
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      long[] shape = weight.shape();
      int rank = shape.length;
      if (rank < 2) {
        return List.of(List.of(Slot.placeholder("r"), Slot.placeholder("c"), Slot.zeros("velocity")));
      }
      long[] rows = Arrays.copyOf(shape, rank - 1);
      long[] columns = Arrays.copyOf(shape, rank - 1);
      columns[rank - 2] = shape[rank - 1];
      return List.of(List.of(Slot.shaped("r", 0, rows), Slot.shaped("c", 0, columns), Slot.zeros("velocity")));
    }

    @Override
    public boolean takesWhole(TrainedWeight weight) {
      return true;
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      float most = Math.min(step.learningRate(), 1 / StepState.sqrt(step.localStep()));
      float beta = 1 - StepState.power(step.localStep(), decay);
      long[] shape = weight.shape();
      return (w, g, q, slots, n) -> {
        float alpha = Math.max(epsilon2, rootMeanSquare(w, n)) * most;
        float[] v = slots[slots.length - 1];
        if (shape.length < 2) {
          for (int i = 0; i < n; i++) {
            v[i] = beta * v[i] + (1 - beta) * (q[i] + epsilon1);
          }
        } else {
          factor(q, slots, (int) shape[shape.length - 2], (int) shape[shape.length - 1], n, beta);
        }
        for (int i = 0; i < n; i++) {
          g[i] /= (float) Math.sqrt(v[i]);
          q[i] /= v[i];
        }
        float bound = Math.max(1, rootMean(q, n) / threshold);
        for (int i = 0; i < n; i++) {
          w[i] -= alpha * (g[i] / bound);
        }
      };
    }

    /** Keeps means of rows and columns, of each matrix in turn, and makes the velocity of them. */
    private void factor(float[] q, float[][] slots, int rows, int columns, int n, float beta) {
      float[] r = slots[0];
      float[] c = slots[1];
      double[] sums = new double[columns];
      for (int at = 0, matrix = 0; at < n; at += rows * columns, matrix++) {
        int row0 = matrix * rows;
        int column0 = matrix * columns;
        Arrays.fill(sums, 0);
        double all = 0;
        for (int i = 0; i < rows; i++) {
          double sum = 0;
          for (int j = 0; j < columns; j++) {
            float square = q[at + i * columns + j] + epsilon1;
            sum += square;
            sums[j] += square;
          }
          r[row0 + i] = beta * r[row0 + i] + (1 - beta) * (float) (sum / columns);
          all += r[row0 + i];
        }
        for (int j = 0; j < columns; j++) {
          c[column0 + j] = beta * c[column0 + j] + (1 - beta) * (float) (sums[j] / rows);
        }
        float mean = (float) (all / rows);
        for (int i = 0; i < rows; i++) {
          float share = r[row0 + i] / mean;
          for (int j = 0; j < columns; j++) {
            slots[2][at + i * columns + j] = share * c[column0 + j];
          }
        }
      }
    }
  }
}
