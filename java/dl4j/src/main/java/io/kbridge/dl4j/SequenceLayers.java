package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.deeplearning4j.nn.conf.RNNFormat;
import org.deeplearning4j.nn.conf.graph.ElementWiseVertex;
import org.deeplearning4j.nn.conf.graph.MergeVertex;
import org.deeplearning4j.nn.conf.graph.rnn.ReverseTimeSeriesVertex;
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

  private static final Map<String, Bidirectional.Mode> MODES =
      Map.of(
          "concat", Bidirectional.Mode.CONCAT,
          "sum", Bidirectional.Mode.ADD,
          "mul", Bidirectional.Mode.MUL,
          "ave", Bidirectional.Mode.AVERAGE);
  private static final Map<Bidirectional.Mode, ElementWiseVertex.Op> SUMS =
      Map.of(
          Bidirectional.Mode.ADD, ElementWiseVertex.Op.Add,
          Bidirectional.Mode.MUL, ElementWiseVertex.Op.Product,
          Bidirectional.Mode.AVERAGE, ElementWiseVertex.Op.Average);
  // Layers that do to a sequence what they do to each of its steps.
  private static final Set<String> STEPWISE = Set.of("Dense", "Activation", "ReLU", "LeakyReLU", "ELU", "Softmax", "Identity");

  private SequenceLayers() {}

  static void register(Map<String, LayerMapping> layers) {
    layers.put("LSTM", layer -> recurrent(layer, "LSTM"));
    layers.put("SimpleRNN", layer -> recurrent(layer, "SimpleRNN"));
    layers.put("Bidirectional", SequenceLayers::bidirectional);
    layers.put("TimeDistributed", SequenceLayers::timeDistributed);
    layers.put("Embedding", SequenceLayers::embedding);
    layers.put("RepeatVector", layer -> layer.layer(
        new RepeatVector.Builder<>(layer.config("n").asInt()).dataFormat(RNNFormat.NWC).build()));
    layers.put("GRU", layer -> {
      throw new Unsayable("DL4J has no GRU");
    });
  }

  private static void recurrent(LayerContext layer, String className) {
    if (layer.config("go_backwards").asBoolean(false)) {
      throw new Unsayable("DL4J has no go_backwards");
    }
    Layer made = cell(layer, className, RNNFormat.NWC);
    bind(layer, layer.name(), layer, "", className);
    layer.layer(layer.config("return_sequences").asBoolean(false) ? made : new LastTimeStep(made));
  }

  /** NB: with features last, DL4J's bidirectional layer gives other numbers, so its input and output are turned. */
  private static void bidirectional(LayerContext layer) {
    JsonNode wrapped = layer.config("layer");
    JsonNode other = layer.config("backward_layer");
    String className = wrapped.path("class_name").asText();
    Bidirectional.Mode mode = MODES.get(layer.config("merge_mode").asText());
    if (!className.equals("LSTM") && !className.equals("SimpleRNN")) {
      throw new Unsayable("DL4J has no " + className);
    }
    if (mode == null || !alike(wrapped, other) || wrapped.path("config").path("go_backwards").asBoolean(false)) {
      throw new Unsayable(mode == null ? "its output is two" : "its backward layer is one of its own");
    }
    LayerContext forward = layer.inner(wrapped);
    forward.check();
    if (!forward.config("return_sequences").asBoolean(false)) {
      lastSteps(layer, forward, layer.inner(other), className, mode);
      return;
    }
    String vertex = layer.name();
    Layer cell = cell(forward, className, RNNFormat.NCW);
    bind(layer, vertex, forward, "f", className);
    bind(layer, vertex, layer.inner(other), "b", className);
    layer.featuresFirst(new Bidirectional(mode, cell));
  }

  /** NB: DL4J's bidirectional layer over last steps has no updater, so it is said in vertices. */
  private static void lastSteps(
      LayerContext layer, LayerContext forward, LayerContext backward, String className, Bidirectional.Mode mode) {
    bind(layer, layer.part("forward"), forward, "", className);
    bind(layer, layer.part("backward"), backward, "", className);
    String turned = layer.turned();
    String reversed = layer.before("reversed", new ReverseTimeSeriesVertex(), turned);
    String first = layer.before("forward", new LastTimeStep(cell(forward, className, RNNFormat.NCW)), turned);
    String second = layer.before("backward", new LastTimeStep(cell(backward, className, RNNFormat.NCW)), reversed);
    MergeVertex both = new MergeVertex();
    both.setMergeAxis(1);
    layer.vertex(mode == Bidirectional.Mode.CONCAT ? both : new ElementWiseVertex(SUMS.get(mode)), first, second);
  }

  /** Whether two layers differ in their names and directions alone. */
  private static boolean alike(JsonNode forward, JsonNode backward) {
    return plain(forward).equals(plain(backward));
  }

  private static JsonNode plain(JsonNode json) {
    if (json.isObject()) {
      ObjectNode copy = json.deepCopy();
      copy.remove(List.of("name", "go_backwards", "shared_object_id", "seed", "build_config"));
      copy.fieldNames().forEachRemaining(key -> copy.replace(key, plain(copy.get(key))));
      return copy;
    }
    return json;
  }

  private static void timeDistributed(LayerContext layer) {
    JsonNode wrapped = layer.config("layer");
    String className = wrapped.path("class_name").asText();
    if (!STEPWISE.contains(className)) {
      throw new Unsayable("DL4J has no " + className + " for each step of a sequence");
    }
    layer.becomes(layer.inner(wrapped));
  }

  private static Layer cell(LayerContext layer, String className, RNNFormat format) {
    JsonNode config = layer.config();
    for (String key : new String[] {"return_state", "stateful"}) {
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
      return cell(layer, builder, format);
    }
    return cell(layer, new SimpleRnn.Builder(), format);
  }

  private static <T extends BaseRecurrentLayer.Builder<T>> Layer cell(LayerContext layer, T builder, RNNFormat format) {
    builder.dataFormat(format);
    layer.features(builder, layer.channels(), layer.config("units").asLong(), "kernel", "bias", 0, 1);
    JsonNode recurrent = layer.weight("recurrent_kernel");
    builder.weightInitRecurrent(Initializers.of(recurrent.path("initializer"), LayerContext.sizes(recurrent)));
    builder.activation(Activations.of(layer.config("activation")));
    return builder.build();
  }

  /** NB: DL4J's cells have a bias always. */
  private static void bind(LayerContext layer, String vertex, LayerContext owner, String prefix, String className) {
    Layout layout = className.equals("LSTM") ? Layout.gates(GATES) : Layout.same();
    layer.bind(vertex, prefix + "W", owner, "kernel", layout);
    layer.bind(vertex, prefix + "RW", owner, "recurrent_kernel", layout);
    layer.bind(vertex, prefix + "b", owner, "bias", layout);
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
