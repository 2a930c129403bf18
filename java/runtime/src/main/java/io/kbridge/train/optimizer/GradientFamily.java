package io.kbridge.train.optimizer;

import java.util.List;

/** Optimizers that use the gradient itself, or its mean over the steps: SGD and Lion. */
public final class GradientFamily implements OptimizerFamily {
  /** Makes the family; for the service loader. */
  public GradientFamily() {}

  @Override
  public void register(OptimizerRegistry registry) {
    registry.optimizer("SGD", Sgd::new);
    registry.optimizer("Lion", Lion::new);
  }

  private static final class Sgd implements UpdateRule {
    private final float momentum;
    private final boolean nesterov;

    Sgd(Config config) {
      momentum = (float) config.number("momentum");
      nesterov = config.flag("nesterov");
    }

    @Override
    public Magnitude magnitude() {
      return Magnitude.NONE;
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      return momentum == 0 ? List.of() : List.of(List.of(Slot.zeros("momentum")));
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      float lr = step.learningRate();
      if (momentum == 0) {
        return (w, g, q, slots, n) -> {
          for (int i = 0; i < n; i++) {
            w[i] -= g[i] * lr;
          }
        };
      }
      return nesterov ? (w, g, q, slots, n) -> nesterov(w, g, slots[0], n, lr) : (w, g, q, slots, n) -> momentum(w, g, slots[0], n, lr);
    }

    private void momentum(float[] w, float[] g, float[] m, int n, float lr) {
      for (int i = 0; i < n; i++) {
        m[i] = m[i] * momentum - g[i] * lr;
        w[i] += m[i];
      }
    }

    private void nesterov(float[] w, float[] g, float[] m, int n, float lr) {
      for (int i = 0; i < n; i++) {
        m[i] = m[i] * momentum - g[i] * lr;
        w[i] += m[i] * momentum - g[i] * lr;
      }
    }
  }

  private static final class Lion implements UpdateRule {
    private final float beta1;
    private final float beta2;

    Lion(Config config) {
      beta1 = (float) config.number("beta_1");
      beta2 = (float) config.number("beta_2");
    }

    @Override
    public Magnitude magnitude() {
      return Magnitude.NONE;
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      return List.of(List.of(Slot.zeros("momentum")));
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      float lr = step.learningRate();
      return (w, g, q, slots, n) -> {
        float[] m = slots[0];
        for (int i = 0; i < n; i++) {
          w[i] -= lr * Math.signum(m[i] * beta1 + g[i] * (1 - beta1));
          m[i] = m[i] * beta2 + g[i] * (1 - beta2);
        }
      };
    }
  }
}
