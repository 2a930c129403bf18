package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Locale;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.lossfunctions.ILossFunction;
import org.nd4j.linalg.lossfunctions.impl.LossBinaryXENT;
import org.nd4j.linalg.lossfunctions.impl.LossMAE;
import org.nd4j.linalg.lossfunctions.impl.LossMCXENT;
import org.nd4j.linalg.lossfunctions.impl.LossMSE;
import org.nd4j.linalg.lossfunctions.impl.LossSparseMCXENT;

/** Keras's losses in DL4J. DL4J adds up over the outputs of a sample where Keras takes the mean, so weights make the two equal. */
final class Losses {
  private Losses() {}

  /** Returns the loss of an output, or null if it has none. */
  static JsonNode of(Training training, int output) {
    JsonNode loss = training.json().path("loss");
    if (loss.isObject() && !loss.has("class_name")) {
      return orNull(loss.path(training.json().path("output_names").path(output).asText()));
    }
    return orNull(loss.isArray() ? loss.path(output) : loss);
  }

  private static JsonNode orNull(JsonNode loss) {
    return loss.isNull() || loss.isMissingNode() ? null : loss;
  }

  /** Whether an output's labels are class numbers. */
  static boolean isSparse(Training training, int output) {
    JsonNode loss = of(training, output);
    return loss != null && (loss.asText() + loss.path("class_name").asText()).toLowerCase(Locale.ROOT).startsWith("sparse");
  }

  /** The weight of an output's loss. */
  static double weight(Training training, int output) {
    JsonNode weights = training.json().path("loss_weights");
    if (weights.isObject()) {
      return weights.path(training.json().path("output_names").path(output).asText()).asDouble(1);
    }
    return weights.isArray() ? weights.path(output).asDouble(1) : weights.asDouble(1);
  }

  /**
   * Returns the loss function.
   *
   * @param loss as Keras serialises it: a name, or an object
   * @param activation the activation before it: softmax, sigmoid, or another
   * @param weight of this output among others
   * @param units how many numbers an output has
   */
  static ILossFunction function(JsonNode loss, String activation, double weight, long units) {
    JsonNode config = loss.path("config");
    if (config.path("from_logits").asBoolean(false)) {
      throw new Unsayable("DL4J's losses take no logits");
    }
    if (config.path("label_smoothing").asDouble(0) != 0) {
      throw new Unsayable("DL4J's losses have no label smoothing");
    }
    String reduction = config.path("reduction").asText("sum_over_batch_size");
    if (!reduction.equals("sum_over_batch_size") && !reduction.equals("mean")) {
      throw new Unsayable("DL4J takes the mean over a batch, not '" + reduction + "'");
    }
    String name = loss.isTextual() ? loss.asText() : loss.path("class_name").asText();
    switch (name) {
      case "mse":
      case "MSE":
      case "mean_squared_error":
      case "MeanSquaredError":
        return weight == 1 ? new LossMSE() : new LossMSE(weights(weight, units));
      case "mae":
      case "MAE":
      case "mean_absolute_error":
      case "MeanAbsoluteError":
        return weight == 1 ? new LossMAE() : new LossMAE(weights(weight, units));
      case "categorical_crossentropy":
      case "CategoricalCrossentropy":
        require(activation, "softmax");
        return weight == 1 ? new LossMCXENT() : new LossMCXENT(weights(weight, units));
      case "sparse_categorical_crossentropy":
      case "SparseCategoricalCrossentropy":
        require(activation, "softmax");
        return weight == 1 ? new LossSparseMCXENT() : new LossSparseMCXENT(weights(weight, units));
      case "binary_crossentropy":
      case "BinaryCrossentropy":
        require(activation, "sigmoid");
        return weight == units ? new LossBinaryXENT() : new LossBinaryXENT(weights(weight / units, units));
      default:
        throw new Unsayable("DL4J has no loss that computes the same as '" + name + "'");
    }
  }

  private static void require(String activation, String needed) {
    if (!activation.equals(needed)) {
      throw new Unsayable("the loss needs an output layer with " + needed);
    }
  }

  private static INDArray weights(double weight, long units) {
    return Nd4j.valueArrayOf(new long[] {1, units}, weight, DataType.FLOAT);
  }
}
