package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import org.deeplearning4j.nn.conf.RNNFormat;
import org.deeplearning4j.nn.conf.layers.BaseRecurrentLayer;
import org.deeplearning4j.nn.conf.layers.EmbeddingSequenceLayer;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.misc.RepeatVector;
import org.deeplearning4j.nn.conf.layers.recurrent.Bidirectional;
import org.deeplearning4j.nn.conf.layers.recurrent.LastTimeStep;
import org.deeplearning4j.nn.conf.layers.recurrent.SimpleRnn;

/** Layers over sequences, which are batch, time, features as in Keras. */
final class SequenceLayers {
  // Keras's gates are input, forget, cell, output; DL4J's cell, forget, output, input.
  private static final int[] GATES = {2, 1, 3, 0};

  private SequenceLayers() {}

  static void register(Map<String, LayerMapping> layers) {
    layers.put("LSTM", layer -> recurrent(layer, "LSTM"));
    layers.put("SimpleRNN", layer -> recurrent(layer, "SimpleRNN"));
    layers.put("Bidirectional", SequenceLayers::bidirectional);
    layers.put("Embedding", SequenceLayers::embedding);
    layers.put("RepeatVector", layer -> layer.layer(
        new RepeatVector.Builder<>(layer.config("n").asInt()).dataFormat(RNNFormat.NWC).build()));
    layers.put("GRU", layer -> {
      throw new Unsayable("DL4J has no GRU");
    });
  }

  private static void recurrent(LayerContext layer, String className) {
    Layer made = cell(layer, className, layer.config());
    bind(layer, className, "", "");
    layer.layer(layer.config("return_sequences").asBoolean(false) ? made : new LastTimeStep(made));
  }

  private static Layer cell(LayerContext layer, String className, JsonNode config) {
    for (String key : new String[] {"return_state", "go_backwards", "stateful"}) {
      if (config.path(key).asBoolean(false)) {
        throw new Unsayable("DL4J has no " + key);
      }
    }
    layer.requireNotTrained(
        config.path("dropout").asDouble(0) != 0 || config.path("recurrent_dropout").asDouble(0) != 0, "DL4J's dropout of sequences differs");
    layer.requireSame("kernel", "recurrent_kernel");
    if (className.equals("LSTM")) {
      LSTM.Builder builder = new LSTM.Builder();
      builder.gateActivationFunction(Activations.of(config.path("recurrent_activation"))).forgetGateBiasInit(0);
      return cell(layer, builder, config);
    }
    if (className.equals("SimpleRNN")) {
      return cell(layer, new SimpleRnn.Builder(), config);
    }
    throw new Unsayable("DL4J has no " + className);
  }

  private static <T extends BaseRecurrentLayer.Builder<T>> Layer cell(LayerContext layer, T builder, JsonNode config) {
    builder.dataFormat(RNNFormat.NWC);
    layer.features(builder, layer.channels(), config.path("units").asLong(), "kernel", "bias", 0, 1);
    JsonNode recurrent = layer.weight("recurrent_kernel");
    builder.weightInitRecurrent(Initializers.of(recurrent.path("initializer"), LayerContext.sizes(recurrent)));
    builder.activation(Activations.of(config.path("activation")));
    return builder.build();
  }

  /** NB: DL4J's cells have a bias always. */
  private static void bind(LayerContext layer, String className, String prefix, String inner) {
    Layout layout = className.equals("LSTM") ? Layout.gates(GATES) : Layout.same();
    layer.bind(prefix + "W", inner, "kernel", layout);
    layer.bind(prefix + "RW", inner, "recurrent_kernel", layout);
    layer.bind(prefix + "b", inner, "bias", layout);
  }

  private static void bidirectional(LayerContext layer) {
    JsonNode inner = layer.config("layer");
    String className = inner.path("class_name").asText();
    JsonNode config = inner.path("config");
    if (layer.config().hasNonNull("backward_layer") && !sameBut(layer.config("backward_layer").path("config"), config)) {
      throw new Unsayable("its two directions differ, and DL4J's are alike");
    }
    if (!config.path("return_sequences").asBoolean(false)) {
      throw new Unsayable("DL4J's last step of both directions is the sequence's last, Keras's that of each direction");
    }
    Layer made = cell(layer, className, config);
    bind(layer, className, "f", "forward_" + config.path("name").asText());
    bind(layer, className, "b", "backward_" + config.path("name").asText());
    layer.layer(new Bidirectional(mode(layer.config("merge_mode")), made));
  }

  private static boolean sameBut(JsonNode a, JsonNode b) {
    for (String key : new String[] {"units", "activation", "recurrent_activation", "use_bias", "return_sequences"}) {
      if (!a.path(key).equals(b.path(key))) {
        return false;
      }
    }
    return true;
  }

  private static Bidirectional.Mode mode(JsonNode merge) {
    switch (merge.asText()) {
      case "concat":
        return Bidirectional.Mode.CONCAT;
      case "sum":
        return Bidirectional.Mode.ADD;
      case "mul":
        return Bidirectional.Mode.MUL;
      case "ave":
        return Bidirectional.Mode.AVERAGE;
      default:
        throw new Unsayable("DL4J's layers give one output");
    }
  }

  private static void embedding(LayerContext layer) {
    if (layer.config("mask_zero").asBoolean(false)) {
      throw new Unsayable("DL4J's embedding gives no mask");
    }
    if (layer.in(0).length != 2) {
      throw new Unsayable("DL4J's embedding takes sequences of numbers");
    }
    layer.bind("W", "embeddings", Layout.same());
    EmbeddingSequenceLayer.Builder builder = new EmbeddingSequenceLayer.Builder();
    builder.hasBias(false).outputDataFormat(RNNFormat.NWC).inferInputLength(true);
    layer.layer(
        layer.features(builder, layer.config("input_dim").asLong(), layer.config("output_dim").asLong(), "embeddings", "bias", 0, 1).build());
  }
}
