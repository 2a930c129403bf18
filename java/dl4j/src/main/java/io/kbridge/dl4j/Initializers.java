package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import org.deeplearning4j.nn.conf.distribution.ConstantDistribution;
import org.deeplearning4j.nn.conf.distribution.Distribution;
import org.deeplearning4j.nn.conf.distribution.NormalDistribution;
import org.deeplearning4j.nn.conf.distribution.OrthogonalDistribution;
import org.deeplearning4j.nn.conf.distribution.TruncatedNormalDistribution;
import org.deeplearning4j.nn.conf.distribution.UniformDistribution;

/** The distributions that Keras's initializers draw from, their numbers worked out from the shape of the weight as Keras does. */
final class Initializers {
  // The standard deviation of a standard normal distribution cut at 2.
  private static final double CUT = 0.87962566103423978;

  private Initializers() {}

  static Distribution of(JsonNode initializer, long... shape) {
    JsonNode config = initializer.path("config");
    String name = initializer.path("class_name").asText();
    switch (name) {
      case "Zeros":
        return new ConstantDistribution(0);
      case "Ones":
        return new ConstantDistribution(1);
      case "Constant":
        return constant(config.path("value"));
      case "RandomNormal":
        return new NormalDistribution(config.path("mean").asDouble(), config.path("stddev").asDouble());
      case "TruncatedNormal":
        return new TruncatedNormalDistribution(config.path("mean").asDouble(), config.path("stddev").asDouble());
      case "RandomUniform":
        return new UniformDistribution(config.path("minval").asDouble(), config.path("maxval").asDouble());
      case "Orthogonal":
      case "OrthogonalInitializer":
        return new OrthogonalDistribution(config.path("gain").asDouble(1));
      case "GlorotUniform":
        return scaled(1, "fan_avg", "uniform", shape);
      case "GlorotNormal":
        return scaled(1, "fan_avg", "truncated_normal", shape);
      case "HeUniform":
        return scaled(2, "fan_in", "uniform", shape);
      case "HeNormal":
        return scaled(2, "fan_in", "truncated_normal", shape);
      case "LecunUniform":
        return scaled(1, "fan_in", "uniform", shape);
      case "LecunNormal":
        return scaled(1, "fan_in", "truncated_normal", shape);
      case "VarianceScaling":
        return scaled(config.path("scale").asDouble(1), config.path("mode").asText("fan_in"), config.path("distribution").asText(), shape);
      default:
        throw new Unsayable("DL4J has no initializer '" + name + "'");
    }
  }

  private static Distribution constant(JsonNode value) {
    if (!value.isNumber()) {
      throw new Unsayable("DL4J has no initializer of an array");
    }
    return new ConstantDistribution(value.asDouble());
  }

  private static Distribution scaled(double scale, String mode, String distribution, long... shape) {
    double[] fans = fans(shape);
    double fan = mode.equals("fan_in") ? fans[0] : mode.equals("fan_out") ? fans[1] : (fans[0] + fans[1]) / 2;
    double variance = scale / Math.max(1, fan);
    if (distribution.equals("uniform")) {
      double limit = Math.sqrt(3 * variance);
      return new UniformDistribution(-limit, limit);
    }
    double deviation = Math.sqrt(variance);
    return distribution.equals("untruncated_normal") ? new NormalDistribution(0, deviation) : new TruncatedNormalDistribution(0, deviation / CUT);
  }

  private static double[] fans(long... shape) {
    if (shape.length < 2) {
      double size = shape.length == 0 ? 1 : shape[0];
      return new double[] {size, size};
    }
    double field = 1;
    for (int i = 0; i < shape.length - 2; i++) {
      field *= shape[i];
    }
    return new double[] {field * shape[shape.length - 2], field * shape[shape.length - 1]};
  }
}
