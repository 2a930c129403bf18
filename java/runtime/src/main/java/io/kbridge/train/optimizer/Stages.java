package io.kbridge.train.optimizer;

/** What one step does to a block of values, one stage after the other, in Keras's order. */
final class Stages {
  private final Common common;
  private final UpdateRule rule;
  private final StepState step;
  private final float scale;
  private final boolean updates;

  /**
   * Prepares a step.
   *
   * @param scale what gradients are too large by
   * @param updates false to only add to the accumulated gradients
   */
  Stages(Common common, UpdateRule rule, StepState step, float scale, boolean updates) {
    this.common = common;
    this.rule = rule;
    this.step = step;
    this.scale = scale;
    this.updates = updates;
  }

  /** Whether weights are updated in this step. */
  boolean updates() {
    return updates;
  }

  /** Whether the norms of the gradients are needed before the step. */
  boolean needsNorms() {
    return updates && (common.clipNorm != null || common.globalClipNorm != null);
  }

  /** Whether gradients in rows are added up before anything else: accumulated ones are. */
  boolean addsRowsUp() {
    return common.accumulationSteps > 0;
  }

  /** Whether gradients in rows are added up when they are clipped: by a factor that is a tensor. */
  boolean addsRowsUpInClipping() {
    return common.clipNorm == null && common.globalClipNorm != null;
  }

  float scale() {
    return scale;
  }

  Magnitude magnitude() {
    return rule.magnitude();
  }

  Kernel kernel(TrainedWeight weight) {
    return rule.kernel(weight, step);
  }

  /** Makes the gradients what is to be clipped: without the loss's scale, the mean over accumulated steps. */
  void gradients(float[] g, float[] accumulated, int n) {
    if (scale != 1) {
      for (int i = 0; i < n; i++) {
        g[i] /= scale;
      }
    }
    if (accumulated == null) {
      return;
    }
    for (int i = 0; i < n; i++) {
      g[i] += accumulated[i];
    }
    if (updates) {
      float steps = common.accumulationSteps;
      for (int i = 0; i < n; i++) {
        g[i] /= steps;
      }
    }
  }

  /**
   * Says how to clip gradients by norms.
   *
   * @param squares the sum of squares of each weight's gradient
   * @return for each, what to multiply it with and then divide it by; null for nothing to do
   */
  float[][] clipping(double[] squares) {
    float[][] factors = new float[squares.length][];
    if (common.clipNorm != null) {
      float bound = (float) (double) common.clipNorm;
      for (int i = 0; i < squares.length; i++) {
        factors[i] = new float[] {bound, Math.max(StepState.sqrt((float) squares[i]), bound)};
      }
    } else {
      double sum = 0;
      for (double one : squares) {
        sum += one;
      }
      float norm = StepState.sqrt((float) sum);
      double bound = common.globalClipNorm;
      // NB: not a number if the norm is none, as in Keras.
      float factor = (float) bound * Math.min(1 / norm, (float) (1 / bound)) + (norm - norm);
      java.util.Arrays.fill(factors, new float[] {factor, 1});
    }
    return factors;
  }

  void clip(float[] g, int n, float[] factors) {
    if (factors != null) {
      float factor = factors[0];
      float divisor = factors[1];
      for (int i = 0; i < n; i++) {
        g[i] = g[i] * factor / divisor;
      }
    }
    if (clipsValues()) {
      float bound = (float) (double) common.clipValue;
      for (int i = 0; i < n; i++) {
        g[i] = Math.max(-bound, Math.min(bound, g[i]));
      }
    }
  }

  /** Whether gradients are clipped number by number; Keras looks at one kind of clipping, norms first. */
  boolean clipsValues() {
    return common.clipValue != null && common.clipNorm == null && common.globalClipNorm == null;
  }

  void decay(TrainedWeight weight, float[] w, int n) {
    if (weight.decay() != null) {
      float decay = (float) (double) weight.decay();
      float lr = step.learningRate();
      for (int i = 0; i < n; i++) {
        w[i] -= w[i] * decay * lr;
      }
    }
  }

  /** Keeps the moving average of a weight; the weight takes its value when it is time. */
  void average(float[] w, float[] average, int n) {
    float momentum = step.iterations() == 0 ? 0 : common.averageMomentum;
    float rest = 1 - momentum;
    for (int i = 0; i < n; i++) {
      average[i] = momentum * average[i] + rest * w[i];
    }
    if (common.overwriteFrequency > 0 && (step.iterations() + 1) % common.overwriteFrequency == 0) {
      System.arraycopy(average, 0, w, 0, n);
    }
  }
}
