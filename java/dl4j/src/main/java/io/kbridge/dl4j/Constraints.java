package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import org.deeplearning4j.nn.api.layers.LayerConstraint;
import org.deeplearning4j.nn.conf.constraint.MaxNormConstraint;
import org.deeplearning4j.nn.conf.constraint.MinMaxNormConstraint;
import org.deeplearning4j.nn.conf.constraint.NonNegativeConstraint;
import org.deeplearning4j.nn.conf.constraint.UnitNormConstraint;

/** Keras's constraints of weights in DL4J. */
final class Constraints {
  private Constraints() {}

  /** A constraint, its axes those of the parameter; {@code axes[i]} is where the weight's axis i is. */
  static LayerConstraint of(JsonNode constraint, int... axes) {
    if (constraint.isNull() || constraint.isMissingNode()) {
      return null;
    }
    JsonNode config = constraint.path("config");
    JsonNode axis = config.path("axis");
    int[] over = new int[axis.isArray() ? axis.size() : 1];
    for (int i = 0; i < over.length; i++) {
      int given = (axis.isArray() ? axis.get(i) : axis).asInt();
      over[i] = axes[given < 0 ? given + axes.length : given];
    }
    Arrays.sort(over);
    switch (constraint.path("class_name").asText()) {
      case "MaxNorm":
        return new MaxNormConstraint(config.path("max_value").asDouble(), over);
      case "MinMaxNorm":
        return new MinMaxNormConstraint(
            config.path("min_value").asDouble(), config.path("max_value").asDouble(), config.path("rate").asDouble(1), over);
      case "UnitNorm":
        return new UnitNormConstraint(over);
      case "NonNeg":
        return new NonNegativeConstraint();
      default:
        throw new Unsayable("DL4J has no constraint '" + constraint.path("class_name").asText() + "'");
    }
  }
}
