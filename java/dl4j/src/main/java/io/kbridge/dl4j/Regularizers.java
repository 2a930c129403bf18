package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import org.nd4j.linalg.learning.regularization.L1Regularization;
import org.nd4j.linalg.learning.regularization.L2Regularization;
import org.nd4j.linalg.learning.regularization.Regularization;

/** Keras's regularizers of weights in DL4J. */
final class Regularizers {
  private Regularizers() {}

  /** DL4J's L2 is half of the coefficient times the square, Keras's the coefficient times the square. */
  static List<Regularization> of(JsonNode regularizer) {
    List<Regularization> all = new ArrayList<>();
    if (regularizer.isNull() || regularizer.isMissingNode()) {
      return all;
    }
    JsonNode config = regularizer.path("config");
    String name = regularizer.path("class_name").asText();
    if (!name.equals("L1") && !name.equals("L2") && !name.equals("L1L2")) {
      throw new Unsayable("DL4J has no regularizer '" + name + "'");
    }
    if (config.path("l1").asDouble(0) != 0) {
      all.add(new L1Regularization(config.path("l1").asDouble()));
    }
    if (config.path("l2").asDouble(0) != 0) {
      all.add(new L2Regularization(2 * config.path("l2").asDouble()));
    }
    return all;
  }
}
