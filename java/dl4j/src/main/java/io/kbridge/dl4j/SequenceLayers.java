package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Map;
import org.deeplearning4j.nn.conf.RNNFormat;
import org.deeplearning4j.nn.conf.layers.BaseRecurrentLayer;
import org.deeplearning4j.nn.conf.layers.EmbeddingSequenceLayer;
import org.deeplearning4j.nn.conf.layers.LSTM;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.misc.RepeatVector;
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
    layers.put("Bidirectional", layer -> {
      throw new Unsayable("with features last, DL4J's bidirectional layer gives other numbers");
    });
    layers.put("Embedding", SequenceLayers::embedding);
    layers.put("RepeatVector", layer -> layer.layer(
        new RepeatVector.Builder<>(layer.config("n").asInt()).dataFormat(RNNFormat.NWC).build()));
    layers.put("GRU", layer -> {
      throw new Unsayable("DL4J has no GRU");
    });
  }

  private static void recurrent(LayerContext layer, String className) {
    Layer made = cell(layer, className, layer.config());
    bind(layer, className);
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
    return cell(layer, new SimpleRnn.Builder(), config);
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
  private static void bind(LayerContext layer, String className) {
    Layout layout = className.equals("LSTM") ? Layout.gates(GATES) : Layout.same();
    layer.bind("W", "kernel", layout);
    layer.bind("RW", "recurrent_kernel", layout);
    layer.bind("b", "bias", layout);
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
