package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationELU;
import org.nd4j.linalg.activations.impl.ActivationHardTanH;
import org.nd4j.linalg.activations.impl.ActivationIdentity;
import org.nd4j.linalg.activations.impl.ActivationLReLU;
import org.nd4j.linalg.activations.impl.ActivationMish;
import org.nd4j.linalg.activations.impl.ActivationReLU;
import org.nd4j.linalg.activations.impl.ActivationReLU6;
import org.nd4j.linalg.activations.impl.ActivationSELU;
import org.nd4j.linalg.activations.impl.ActivationSigmoid;
import org.nd4j.linalg.activations.impl.ActivationSoftSign;
import org.nd4j.linalg.activations.impl.ActivationSoftmax;
import org.nd4j.linalg.activations.impl.ActivationSwish;
import org.nd4j.linalg.activations.impl.ActivationTanH;

/** Keras's activation functions in DL4J. Those of one name are not always one function. */
final class Activations {
  private Activations() {}

  /** Returns an activation, or throws {@link Unsayable}. */
  static IActivation of(JsonNode activation) {
    if (activation.isMissingNode() || activation.isNull()) {
      return new ActivationIdentity();
    }
    JsonNode config = activation.path("config");
    String name = activation.isTextual() ? activation.asText() : activation.path("class_name").asText();
    switch (name) {
      case "linear":
        return new ActivationIdentity();
      case "relu":
        return new ActivationReLU();
      case "relu6":
        return new ActivationReLU6();
      case "sigmoid":
        return new ActivationSigmoid();
      case "tanh":
        return new ActivationTanH();
      case "softmax":
        return new ActivationSoftmax();
      case "softsign":
        return new ActivationSoftSign();
      case "elu":
        return new ActivationELU(1);
      case "selu":
        return new ActivationSELU();
      case "silu":
      case "swish":
        return new ActivationSwish();
      case "mish":
        return new ActivationMish();
      case "hard_tanh":
        return new ActivationHardTanH();
      case "leaky_relu":
        return new ActivationLReLU(0.2);
      case "LeakyReLU":
        return new ActivationLReLU(config.path("negative_slope").asDouble(0.3));
      case "ELU":
        return new ActivationELU(config.path("alpha").asDouble(1));
      case "ReLU":
        return relu(config);
      case "gelu":
        throw new Unsayable("DL4J's gelu is another function (x * sigmoid(1.702 x))");
      case "hard_sigmoid":
        throw new Unsayable("DL4J's hard sigmoid is another function (0.2 x + 0.5)");
      case "softplus":
        throw new Unsayable("DL4J's softplus overflows");
      default:
        throw new Unsayable("DL4J has no activation '" + (activation.isTextual() || !name.equals("function") ? name : config.asText()) + "'");
    }
  }

  static IActivation relu(JsonNode config) {
    double slope = config.path("negative_slope").asDouble(0);
    double threshold = config.path("threshold").asDouble(0);
    JsonNode most = config.path("max_value");
    if (slope == 0 && threshold == 0 && !most.isNumber()) {
      return new ActivationReLU();
    }
    return new ActivationReLU(most.isNumber() ? most.asDouble() : null, threshold, slope);
  }

  static boolean isSoftmax(JsonNode activation) {
    return activation.asText().equals("softmax") || activation.path("class_name").asText().equals("Softmax");
  }
}
