package io.kbridge.train.optimizer;

import java.util.ArrayList;
import java.util.List;

/** Optimizers that divide by a root of the gradients' squares: RMSprop, Adagrad, Adadelta and Ftrl. */
public final class SquaresFamily implements OptimizerFamily {
  /** Makes the family; for the service loader. */
  public SquaresFamily() {}

  @Override
  public void register(OptimizerRegistry registry) {
    registry.optimizer("RMSprop", RmsProp::new);
    registry.optimizer("Adagrad", Adagrad::new);
    registry.optimizer("Adadelta", Adadelta::new);
    registry.optimizer("Ftrl", Ftrl::new);
  }

  private static final class RmsProp implements UpdateRule {
    private final float rho;
    private final float rest;
    private final float momentum;
    private final float epsilon;
    private final boolean centered;

    RmsProp(Config config) {
      rho = (float) config.number("rho");
      rest = (float) (1 - config.number("rho"));
      momentum = (float) config.number("momentum");
      epsilon = (float) config.number("epsilon");
      centered = config.flag("centered");
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      List<List<Slot>> groups = new ArrayList<>();
      groups.add(List.of(Slot.zeros("velocity")));
      if (momentum > 0) {
        groups.add(List.of(Slot.zeros("momentum")));
      }
      if (centered) {
        groups.add(List.of(Slot.zeros("average_gradient")));
      }
      return groups;
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      float lr = step.learningRate();
      return (w, g, q, slots, n) -> {
        increments(g, q, slots[0], centered ? slots[slots.length - 1] : null, n, lr);
        if (momentum > 0) {
          float[] m = slots[1];
          for (int i = 0; i < n; i++) {
            m[i] = momentum * m[i] + g[i];
            w[i] -= m[i];
          }
        } else {
          for (int i = 0; i < n; i++) {
            w[i] -= g[i];
          }
        }
      };
    }

    /** Makes increments of the gradients, in their place. */
    private void increments(float[] g, float[] q, float[] v, float[] average, int n, float lr) {
      for (int i = 0; i < n; i++) {
        v[i] = rho * v[i] + rest * q[i];
      }
      if (average == null) {
        for (int i = 0; i < n; i++) {
          g[i] = lr * g[i] / (float) Math.sqrt(v[i] + epsilon);
        }
        return;
      }
      for (int i = 0; i < n; i++) {
        average[i] = rho * average[i] + rest * g[i];
        g[i] = lr * g[i] / (float) Math.sqrt(v[i] - average[i] * average[i] + epsilon);
      }
    }
  }

  private static final class Adagrad implements UpdateRule {
    private final float initial;
    private final float epsilon;

    Adagrad(Config config) {
      initial = (float) config.number("initial_accumulator_value");
      epsilon = (float) config.number("epsilon");
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      return List.of(List.of(Slot.filled("accumulator", initial)));
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      float lr = step.learningRate();
      return (w, g, q, slots, n) -> {
        float[] sum = slots[0];
        for (int i = 0; i < n; i++) {
          sum[i] += q[i];
          w[i] -= lr * g[i] / (float) Math.sqrt(sum[i] + epsilon);
        }
      };
    }
  }

  private static final class Adadelta implements UpdateRule {
    private final float rho;
    private final float rest;
    private final float epsilon;

    Adadelta(Config config) {
      rho = (float) config.number("rho");
      rest = (float) (1 - config.number("rho"));
      epsilon = (float) config.number("epsilon");
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      return List.of(List.of(Slot.zeros("accumulated_grad"), Slot.zeros("accumulated_delta_var")));
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      float lr = step.learningRate();
      return (w, g, q, slots, n) -> {
        float[] grads = slots[0];
        float[] deltas = slots[1];
        for (int i = 0; i < n; i++) {
          grads[i] = rho * grads[i] + rest * q[i];
          float ratio = (float) Math.sqrt(deltas[i] + epsilon) / (float) Math.sqrt(grads[i] + epsilon);
          deltas[i] = rho * deltas[i] + rest * (ratio * ratio * q[i]);
          w[i] -= lr * (ratio * g[i]);
        }
      };
    }
  }

  private static final class Ftrl implements UpdateRule {
    private final float power;
    private final float initial;
    private final float l1;
    private final double l2;
    private final float shrinkage;
    private final double beta;

    Ftrl(Config config) {
      power = (float) -config.number("learning_rate_power");
      initial = (float) config.number("initial_accumulator_value");
      l1 = (float) config.number("l1_regularization_strength");
      l2 = config.number("l2_regularization_strength");
      shrinkage = (float) (2 * config.number("l2_shrinkage_regularization_strength"));
      beta = config.number("beta");
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      return List.of(List.of(Slot.filled("accumulator", initial), Slot.zeros("linear")));
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      float lr = step.learningRate();
      float twice = 2 * ((float) l2 + (float) beta / (2 * lr));
      return (w, g, q, slots, n) -> {
        float[] sums = slots[0];
        float[] linear = slots[1];
        for (int i = 0; i < n; i++) {
          float sum = sums[i] + q[i];
          float root = raised(sum);
          linear[i] += g[i] + shrinkage * w[i] - (root - raised(sums[i])) / lr * w[i];
          float clipped = Math.max(-l1, Math.min(l1, linear[i]));
          w[i] = (clipped - linear[i]) / (root / lr + twice);
          sums[i] = sum;
        }
      };
    }

    private float raised(float x) {
      return power == 0.5f ? StepState.sqrt(x) : StepState.power(x, power);
    }
  }
}
