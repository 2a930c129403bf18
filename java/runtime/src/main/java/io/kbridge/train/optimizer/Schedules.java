package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;

/** Keras's learning-rate schedules. */
public final class Schedules implements OptimizerFamily {
  private static final float PI = (float) Math.PI;

  /** Makes the family; for the service loader. */
  public Schedules() {}

  @Override
  public void register(OptimizerRegistry registry) {
    registry.schedule("ExponentialDecay", Schedules::exponentialDecay);
    registry.schedule("PiecewiseConstantDecay", Schedules::piecewiseConstantDecay);
    registry.schedule("PolynomialDecay", Schedules::polynomialDecay);
    registry.schedule("InverseTimeDecay", Schedules::inverseTimeDecay);
    registry.schedule("CosineDecay", Schedules::cosineDecay);
    registry.schedule("CosineDecayRestarts", Schedules::cosineDecayRestarts);
  }

  private static Schedule exponentialDecay(Config config) {
    float initial = config.decimal("initial_learning_rate");
    float rate = (float) config.number("decay_rate");
    Schedule fraction = fraction(config);
    return step -> initial * StepState.power(rate, fraction.at(step));
  }

  private static Schedule inverseTimeDecay(Config config) {
    float initial = config.decimal("initial_learning_rate");
    float rate = (float) config.number("decay_rate");
    Schedule fraction = fraction(config);
    return step -> initial / (1 + rate * fraction.at(step));
  }

  private static Schedule fraction(Config config) {
    float steps = (float) config.number("decay_steps");
    boolean staircase = config.flag("staircase");
    return step -> staircase ? floor(step / steps) : step / steps;
  }

  private static Schedule piecewiseConstantDecay(Config config) {
    List<JsonNode> given = config.list("boundaries");
    List<JsonNode> rates = config.list("values");
    if (rates.size() != given.size() + 1 || given.isEmpty() || !rates.stream().allMatch(JsonNode::isDouble)) {
      throw config.wrong("'boundaries', and one more decimal number as 'values'", given + " and " + rates);
    }
    // NB: Keras casts boundaries to the type of the step, which cuts off what is behind the point.
    long[] boundaries = given.stream().mapToLong(boundary -> (long) (float) boundary.doubleValue()).toArray();
    return step -> {
      int i = 0;
      while (i < boundaries.length && step > boundaries[i]) {
        i++;
      }
      return (float) rates.get(i).doubleValue();
    };
  }

  private static Schedule polynomialDecay(Config config) {
    float initial = config.decimal("initial_learning_rate");
    float end = (float) config.number("end_learning_rate");
    float power = (float) config.number("power");
    float steps = (float) config.number("decay_steps");
    boolean cycle = config.flag("cycle");
    return step -> {
      float at = cycle ? step : Math.min(step, steps);
      float total = cycle ? steps * (step == 0 ? 1 : (float) Math.ceil(step / steps)) : steps;
      return (initial - end) * StepState.power(1 - at / total, power) + end;
    };
  }

  private static Schedule cosineDecay(Config config) {
    float initial = config.decimal("initial_learning_rate");
    float steps = (float) config.number("decay_steps");
    double alpha = config.number("alpha");
    Double target = config.optional("warmup_target");
    float warmup = (float) config.number("warmup_steps");
    if (target == null) {
      return step -> initial * cosine(Math.min(step, steps) / steps, alpha);
    }
    float top = (float) (double) target;
    return step -> {
      float at = Math.min(step, steps + warmup);
      return at < warmup ? (top - initial) * (at / warmup) + initial : top * cosine((at - warmup) / steps, alpha);
    };
  }

  private static float cosine(float fraction, double alpha) {
    return (float) (1 - alpha) * (0.5f * (1 + cos(PI * fraction))) + (float) alpha;
  }

  private static Schedule cosineDecayRestarts(Config config) {
    float initial = config.decimal("initial_learning_rate");
    float steps = (float) config.number("first_decay_steps");
    float stretch = (float) config.number("t_mul");
    float shrink = (float) config.number("m_mul");
    float alpha = (float) config.number("alpha");
    return step -> {
      float fraction = step / steps;
      float restart;
      if (stretch == 1) {
        restart = floor(fraction);
        fraction -= restart;
      } else {
        restart = floor(log(1 - fraction * (1 - stretch)) / log(stretch));
        float before = (1 - StepState.power(stretch, restart)) / (1 - stretch);
        fraction = (fraction - before) / StepState.power(stretch, restart);
      }
      float cosine = 0.5f * StepState.power(shrink, restart) * (1 + cos(PI * fraction));
      return initial * ((1 - alpha) * cosine + alpha);
    };
  }

  private static float floor(float x) {
    return (float) Math.floor(x);
  }

  private static float cos(float x) {
    return (float) Math.cos(x);
  }

  private static float log(float x) {
    return (float) Math.log(x);
  }
}
