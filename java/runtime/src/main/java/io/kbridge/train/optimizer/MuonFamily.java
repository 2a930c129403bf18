package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.train.optimizer.MomentsFamily.Moments;
import java.util.List;
import java.util.Locale;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Muon: matrices by Newton-Schulz iterations, all other weights by Adam. */
public final class MuonFamily implements OptimizerFamily {
  /** Makes the family; for the service loader. */
  public MuonFamily() {}

  @Override
  public void register(OptimizerRegistry registry) {
    registry.optimizer("Muon", Muon::new);
  }

  private static final class Muon extends Moments {
    private final float a;
    private final float b;
    private final float c;
    private final float ratio;
    private final float momentum;
    private final float momentumLess1;
    private final int iterations;
    private final boolean nesterov;
    private final boolean excludesEmbeddings;
    private final List<Pattern> excluded;
    private final Double adamDecay;
    private final Double rmsRate;

    Muon(Config config) {
      super(config, "adam_beta_1", "adam_beta_2");
      a = (float) config.number("muon_a");
      b = (float) config.number("muon_b");
      c = (float) config.number("muon_c");
      ratio = (float) config.number("adam_lr_ratio");
      momentum = (float) config.number("momentum");
      momentumLess1 = (float) (config.number("momentum") - 1);
      iterations = (int) config.number("ns_steps");
      nesterov = config.flag("nesterov");
      excludesEmbeddings = config.flag("exclude_embeddings");
      excluded = config.list("exclude_layers").stream().map(JsonNode::asText).map(Pattern::compile).collect(Collectors.toList());
      adamDecay = config.optional("adam_weight_decay");
      rmsRate = config.optional("rms_rate");
    }

    private boolean usesAdam(TrainedWeight weight) {
      return weight.shape().length != 2
          || excludesEmbeddings && weight.path().toLowerCase(Locale.ROOT).contains("embedding")
          || excluded.stream().anyMatch(pattern -> pattern.matcher(weight.path()).find());
    }

    @Override
    public List<List<Slot>> slots(TrainedWeight weight) {
      return usesAdam(weight) ? super.slots(weight) : List.of(List.of(Slot.zeros("momentum")));
    }

    @Override
    public boolean takesWhole(TrainedWeight weight) {
      return !usesAdam(weight);
    }

    @Override
    public Double weightDecay(TrainedWeight weight, Double configured) {
      return usesAdam(weight) ? adamDecay : configured;
    }

    @Override
    public Kernel kernel(TrainedWeight weight, StepState step) {
      if (usesAdam(weight)) {
        return adam(step.learningRate() * ratio, step);
      }
      long rows = weight.shape()[0];
      long columns = weight.shape()[1];
      return (w, g, q, slots, n) -> {
        float[] m = slots[0];
        for (int i = 0; i < n; i++) {
          m[i] += g[i] + m[i] * momentumLess1;
          g[i] = nesterov ? g[i] + momentum * m[i] : m[i];
        }
        float[] update = orthogonal(g, n, rows, columns);
        float stretch = StepState.sqrt(Math.max(rows, columns));
        for (int i = 0; i < n; i++) {
          float change = step.learningRate() * update[i];
          w[i] -= rmsRate == null ? change : change * stretch * (float) (double) rmsRate;
        }
      };
    }

    /** Keras's {@code zeropower_via_newtonschulz5}. */
    private float[] orthogonal(float[] values, int n, long rows, long columns) {
      float[] exact = values.length == n ? values : java.util.Arrays.copyOf(values, n);
      INDArray x = Nd4j.createFromArray(exact).reshape('c', rows, columns);
      boolean turned = rows > columns;
      x = turned ? x.transpose().dup('c') : x;
      x = x.div(StepState.sqrt((float) ShapedFamily.squares(values, n)) + 1e-7f);
      for (int i = 0; i < iterations; i++) {
        INDArray square = x.mmul(x.transpose());
        INDArray polynomial = square.mul(b).addi(square.mul(c).mmul(square));
        x = x.mul(a).addi(polynomial.mmul(x));
      }
      return (turned ? x.transpose() : x).dup('c').data().asFloat();
    }
  }
}
