package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;

/** What the documents of all optimizers have in common. */
final class Descriptions {
  private static final String FOLDER = "/optimizer_weights/";

  private Descriptions() {}

  /** Describes an optimizer by what the bundle said of it, except for its state. */
  static ObjectNode of(ObjectNode json, Optimizer optimizer) {
    ObjectNode now = json.deepCopy();
    now.put("built", true).put("iterations", optimizer.iterations());
    if (!json.get("learning_rate").isNull()) {
      now.put("learning_rate", (double) optimizer.learningRate());
    }
    ArrayNode trained = now.putArray("weights");
    optimizer.trained().forEach(trained::add);
    variables(now, optimizer.variables());
    return now;
  }

  static void variables(ObjectNode now, List<OptimizerVariable> own) {
    ArrayNode entries = now.putArray("variables");
    own.forEach(variable -> entries.add(variable.entry().deepCopy()));
  }

  /** Gives the variables of an optimizer that was made new the places that the exporter would give them. */
  static void place(List<OptimizerVariable> all) {
    for (int i = 0; i < all.size(); i++) {
      String name = all.get(i).name();
      all.get(i).entry().put("path", FOLDER + i + "/" + name.substring(name.lastIndexOf('/') + 1));
    }
  }
}
