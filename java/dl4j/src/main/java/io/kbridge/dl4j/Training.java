package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.deeplearning4j.nn.conf.GradientNormalization;
import org.nd4j.linalg.learning.config.Adam;
import org.nd4j.linalg.learning.config.AdaGrad;
import org.nd4j.linalg.learning.config.IUpdater;
import org.nd4j.linalg.learning.config.Nesterovs;
import org.nd4j.linalg.learning.config.NoOp;
import org.nd4j.linalg.learning.config.Sgd;
import org.nd4j.linalg.learning.regularization.Regularization;
import org.nd4j.linalg.learning.regularization.WeightDecay;
import org.nd4j.linalg.schedule.ExponentialSchedule;
import org.nd4j.linalg.schedule.FixedSchedule;
import org.nd4j.linalg.schedule.ISchedule;
import org.nd4j.linalg.schedule.InverseSchedule;
import org.nd4j.linalg.schedule.MapSchedule;
import org.nd4j.linalg.schedule.ScheduleType;
import org.nd4j.linalg.schedule.StepSchedule;

/** What {@code compile()} was given, in DL4J's terms. */
final class Training {
  private final JsonNode json;
  private final JsonNode optimizer;
  private final JsonNode config;
  private final Problems problems;

  Training(JsonNode json, Problems problems) {
    this.json = json;
    this.problems = problems;
    JsonNode outer = json.path("optimizer");
    this.optimizer = outer;
    this.config = outer.path("config");
  }

  /** Whether the model is to be trained. */
  boolean compiled() {
    return json.path("compiled").asBoolean(false) && !json.path("loss").isNull() && !json.path("loss").isMissingNode();
  }

  JsonNode json() {
    return json;
  }

  /** Adds what stands in the way of the optimizer; returns the updater. */
  IUpdater updater() {
    if (!compiled()) {
      // NB: nothing was said about training; TransferLearning's FineTuneConfiguration says it.
      return new NoOp();
    }
    try {
      requirePlain();
      return made();
    } catch (Unsayable e) {
      problems.add("the optimizer", optimizer.path("class_name").asText(), e.getMessage());
      return new NoOp();
    }
  }

  private void requirePlain() {
    for (String key : new String[] {"global_clipnorm", "gradient_accumulation_steps", "loss_scale_factor"}) {
      if (config.hasNonNull(key)) {
        throw new Unsayable("DL4J has no " + key);
      }
    }
    if (config.path("use_ema").asBoolean(false)) {
      throw new Unsayable("DL4J has no moving averages of weights");
    }
    if (decay() != 0 && optimizer.path("exclude_from_weight_decay").path("weights").size() > 0) {
      throw new Unsayable("DL4J has no weight decay with exclusions by name");
    }
  }

  private IUpdater made() {
    ISchedule rate = rate();
    double epsilon = config.path("epsilon").asDouble(1e-7);
    switch (optimizer.path("class_name").asText()) {
      case "SGD":
        return sgd(rate);
      case "Adam":
      case "AdamW":
        if (config.path("amsgrad").asBoolean(false)) {
          throw new Unsayable("DL4J's AMSGrad corrects the bias in another way");
        }
        Adam adam = new Adam(0, config.path("beta_1").asDouble(), config.path("beta_2").asDouble(), epsilon);
        adam.setLearningRateSchedule(rate);
        return adam;
      case "Adagrad":
        if (!(rate instanceof FixedSchedule)) {
          throw new Unsayable("DL4J's AdaGrad with a schedule gives NaN");
        }
        return new AdaGrad(rate.valueAt(0, 0), epsilon);
      case "RMSprop":
      case "Adamax":
        throw new Unsayable("DL4J adds epsilon in another place, so that small gradients move a weight by another step");
      default:
        throw new Unsayable("DL4J has no updater that computes the same");
    }
  }

  private IUpdater sgd(ISchedule rate) {
    double momentum = config.path("momentum").asDouble(0);
    if (momentum == 0) {
      return new Sgd(rate);
    }
    if (!config.path("nesterov").asBoolean(false)) {
      throw new Unsayable("DL4J has Nesterov's momentum only");
    }
    return new Nesterovs(rate, momentum);
  }

  private ISchedule rate() {
    JsonNode rate = config.path("learning_rate");
    if (rate.isNumber()) {
      return new FixedSchedule(optimizer.path("learning_rate").asDouble(rate.asDouble()));
    }
    JsonNode c = rate.path("config");
    boolean stairs = c.path("staircase").asBoolean(false);
    double first = c.path("initial_learning_rate").asDouble();
    double steps = c.path("decay_steps").asDouble();
    switch (rate.path("class_name").asText()) {
      case "ExponentialDecay":
        double factor = c.path("decay_rate").asDouble();
        return stairs
            ? new StepSchedule(ScheduleType.ITERATION, first, factor, steps)
            : new ExponentialSchedule(ScheduleType.ITERATION, first, Math.pow(factor, 1 / steps));
      case "InverseTimeDecay":
        if (!stairs) {
          return new InverseSchedule(ScheduleType.ITERATION, first, c.path("decay_rate").asDouble() / steps, 1);
        }
        break;
      case "PiecewiseConstantDecay":
        Map<Integer, Double> values = new HashMap<>();
        values.put(0, c.path("values").get(0).asDouble());
        for (int i = 0; i < c.path("boundaries").size(); i++) {
          values.put(c.path("boundaries").get(i).intValue() + 1, c.path("values").get(i + 1).asDouble());
        }
        return new MapSchedule(ScheduleType.ITERATION, values);
      case "PolynomialDecay":
        throw new Unsayable("DL4J's polynomial schedule grows where Keras's falls");
      default:
    }
    throw new Unsayable("DL4J has no schedule like " + rate.path("class_name").asText());
  }

  /** The decay of weights that the optimizer does itself. */
  private double decay() {
    return config.path("weight_decay").asDouble(0);
  }

  /** What is added to each layer's regularisation. */
  List<Regularization> decays() {
    List<Regularization> all = new ArrayList<>();
    if (compiled() && decay() != 0) {
      all.add(new WeightDecay(decay(), true));
    }
    return all;
  }

  /** How gradients are clipped, or null. */
  GradientNormalization clipping() {
    if (compiled() && config.hasNonNull("clipnorm")) {
      return GradientNormalization.ClipL2PerParamType;
    }
    return compiled() && config.hasNonNull("clipvalue") ? GradientNormalization.ClipElementWiseAbsoluteValue : null;
  }

  double clippingThreshold() {
    return config.path(config.hasNonNull("clipnorm") ? "clipnorm" : "clipvalue").asDouble();
  }
}
