package io.kbridge.train.optimizer;

import java.util.List;

/** Optimizers that keep two moments of the gradients: Adam, AdamW, Adamax, Nadam and ScheduleFreeAdamW. */
public final class MomentsFamily implements OptimizerFamily {
  /** Makes the family; for the service loader. */
  public MomentsFamily() {}

  @Override
  public void register(OptimizerRegistry registry) {
    registry.optimizer("Adam", Adam::new);
    registry.optimizer("AdamW", Adam::new);
    registry.optimizer("Adamax", Adamax::new);
    registry.optimizer("Nadam", Nadam::new);
    registry.optimizer("ScheduleFreeAdamW", ScheduleFree::new);
  }

  /** What the rules here have in common. */
  abstract static class Moments implements UpdateRule {
    final float beta1;
    final float beta2;
    // NB: Keras subtracts in Python's double precision, except where it casts the betas first.
    final float rest1;
    final float rest2;
    final float epsilon;

    Moments(Config config) {
      this(config, "beta_1", "beta_2");
    }

    Moments(Config config, String first, String second) {
      beta1 = (float) config.number(first);
      beta2 = (float) config.number(second);
      rest1 = (float) (1 - config.number(first));
      rest2 = (float) (1 - config.number(second));
      epsilon = (float) config.number("epsilon");
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      return List.of(List.of(Slot.zeros("momentum"), Slot.zeros("velocity")));
    }

    /** Adam's update. */
    final Kernel adam(float lr, StepState step) {
      float alpha = lr * StepState.sqrt(1 - step.toLocalStep(beta2)) / (1 - step.toLocalStep(beta1));
      return (w, g, q, slots, n) -> {
        float[] m = slots[0];
        float[] v = slots[1];
        for (int i = 0; i < n; i++) {
          m[i] += (g[i] - m[i]) * rest1;
          v[i] += (q[i] - v[i]) * rest2;
          w[i] -= m[i] * alpha / ((float) Math.sqrt(v[i]) + epsilon);
        }
      };
    }
  }

  private static final class Adam extends Moments {
    private final boolean amsgrad;

    Adam(Config config) {
      super(config);
      amsgrad = config.flag("amsgrad");
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      List<Slot> moments = super.slots(weight).get(0);
      return amsgrad ? List.of(moments, List.of(Slot.zeros("velocity_hat"))) : List.of(moments);
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      if (!amsgrad) {
        return adam(step.learningRate(), step);
      }
      float alpha = step.learningRate() * StepState.sqrt(1 - step.toLocalStep(beta2)) / (1 - step.toLocalStep(beta1));
      return (w, g, q, slots, n) -> {
        float[] m = slots[0];
        float[] v = slots[1];
        float[] most = slots[2];
        for (int i = 0; i < n; i++) {
          m[i] += (g[i] - m[i]) * rest1;
          v[i] += (q[i] - v[i]) * rest2;
          most[i] = Math.max(most[i], v[i]);
          w[i] -= m[i] * alpha / ((float) Math.sqrt(most[i]) + epsilon);
        }
      };
    }
  }

  private static final class Adamax extends Moments {
    Adamax(Config config) {
      super(config);
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      return List.of(List.of(Slot.zeros("momentum"), Slot.zeros("norm")));
    }

    @Override
    public Magnitude magnitude() {
      return Magnitude.SIZES;
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      float lr = step.learningRate();
      float correction = 1 - step.toLocalStep(beta1);
      return (w, g, q, slots, n) -> {
        float[] m = slots[0];
        float[] u = slots[1];
        for (int i = 0; i < n; i++) {
          m[i] += (g[i] - m[i]) * rest1;
          u[i] = Math.max(beta2 * u[i], q[i]);
          w[i] -= lr * m[i] / (correction * (u[i] + epsilon));
        }
      };
    }
  }

  private static final class Nadam extends Moments {
    private static final String PRODUCT = "u_product";
    private static final float DECAY = 0.96f;

    Nadam(Config config) {
      super(config);
    }

    @Override
    public List<Slot> globals() {
      return List.of(Slot.filled(PRODUCT, 1));
    }

    @Override
    public void begin(StepState step) {
      step.setGlobal(PRODUCT, step.global(PRODUCT) * beta1 * (1 - 0.5f * step.toLocalStep(DECAY)));
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      float lr = step.learningRate();
      float now = beta1 * (1 - 0.5f * step.toLocalStep(DECAY));
      float next = beta1 * (1 - 0.5f * StepState.power(DECAY, step.iterations() + 2));
      float product = step.global(PRODUCT);
      float rest = 1 - product;
      float restNext = 1 - product * next;
      float correction = 1 - step.toLocalStep(beta2);
      return (w, g, q, slots, n) -> {
        float[] m = slots[0];
        float[] v = slots[1];
        for (int i = 0; i < n; i++) {
          m[i] += (g[i] - m[i]) * (1 - beta1);
          v[i] += (q[i] - v[i]) * (1 - beta2);
          float mean = next * m[i] / restNext + (1 - now) * g[i] / rest;
          w[i] -= mean * lr / ((float) Math.sqrt(v[i] / correction) + epsilon);
        }
      };
    }
  }

  private static final class ScheduleFree extends Moments {
    private final float warmup;

    ScheduleFree(Config config) {
      super(config);
      warmup = (float) config.number("warmup_steps");
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      return List.of(List.of(Slot.copy("momentum"), Slot.zeros("velocity")));
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      float lr = step.learningRate() * (warmup > 0 ? Math.min(step.localStep() / warmup, 1) : 1);
      float correction = 1 - step.toLocalStep(beta2);
      float share = 1 / step.localStep();
      float rest = 1 - beta1;
      return (w, g, q, slots, n) -> {
        float[] z = slots[0];
        float[] v = slots[1];
        for (int i = 0; i < n; i++) {
          v[i] += (q[i] - v[i]) * (1 - beta2);
          z[i] -= lr * g[i] / ((float) Math.sqrt(v[i] / correction) + epsilon);
          // NB: the formula has the momentum before the step here, and with JAX Keras computes it so. With TensorFlow and PyTorch, what
          // it sets aside is the variable itself, and so the momentum after the step.
          float mean = (w[i] - rest * z[i]) / beta1;
          w[i] = rest * z[i] + beta1 * ((1 - share) * mean + share * z[i]);
        }
      };
    }
  }
}
