package io.kbridge.dl4j;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.deeplearning4j.nn.api.layers.LayerConstraint;
import org.deeplearning4j.nn.conf.InputPreProcessor;
import org.deeplearning4j.nn.conf.graph.GraphVertex;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BaseLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.FeedForwardLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.LossLayer;
import org.deeplearning4j.nn.conf.layers.misc.FrozenLayer;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationIdentity;
import org.nd4j.linalg.learning.config.NoOp;
import org.nd4j.linalg.learning.regularization.Regularization;
import org.nd4j.linalg.lossfunctions.ILossFunction;

/** One call of a Keras layer while it is said in DL4J. */
final class LayerContext {
  private final NetworkPlan plan;
  private final KerasNode node;
  private final int output;
  private final long readers;
  private final JsonNode loss;
  private boolean hasWeights;
  private boolean lossDone;

  LayerContext(NetworkPlan plan, KerasNode node, int output, long readers) {
    this.plan = plan;
    this.node = node;
    this.output = output;
    this.readers = readers;
    this.loss = output < 0 || !plan.training().compiled() ? null : Losses.of(plan.training(), output);
  }

  JsonNode config() {
    return node.config();
  }

  JsonNode config(String key) {
    return node.config().path(key);
  }

  /** The shape of what the layer reads; {@link ValueInfo#ANY} where a size is open. */
  long[] in(int i) {
    return plan.shapeOf(node.inputs().get(i));
  }

  int inputs() {
    return node.inputs().size();
  }

  long[] out() {
    return plan.shapeOf(node.name());
  }

  /** Whether channels, or the features of sequences, come right after the batch. */
  boolean channelsFirst() {
    return config("data_format").asText("channels_last").equals("channels_first");
  }

  /** The size of the output's channels. */
  long filters() {
    return out()[channelsFirst() ? 1 : out().length - 1];
  }

  /** The size of the input's channels. */
  long channels() {
    long size = in(0)[channelsFirst() ? 1 : in(0).length - 1];
    if (size == ValueInfo.ANY) {
      throw new Unsayable("the number of its features is open");
    }
    return size;
  }

  /** Checks what holds for every layer. */
  void check() {
    if (!node.dtype().equals(plan.dtype())) {
      throw new Unsayable("it computes in " + node.dtype() + ", and the network in " + plan.dtype());
    }
    if (config().hasNonNull("activity_regularizer")) {
      throw new Unsayable("DL4J has no activity regularizers");
    }
    if (config().hasNonNull("lora_rank") || config().hasNonNull("quantization_config")) {
      throw new Unsayable("DL4J has no low-rank or quantized form of it");
    }
    if (node.inputs().stream().anyMatch(input -> plan.shapeOf(input).length == 0) || out().length == 0) {
      throw new Unsayable("what it is given is not said by the layer before it");
    }
  }

  /** Whether the layer is the last one of an output that is trained, so that it can be DL4J's output layer. */
  boolean isHead() {
    return loss != null && readers == 0;
  }

  /** The loss for an output layer with an activation. */
  ILossFunction loss(String activation) {
    lossDone = true;
    return Losses.function(loss, activation, Losses.weight(plan.training(), output), out()[out().length - 1]);
  }

  /** The layer inside of a wrapper, to be looked at. */
  LayerContext inner(JsonNode layer) {
    return new LayerContext(plan, node.inner(layer), output, readers);
  }

  /** Adds the layer inside of a wrapper in place of the wrapper. */
  void becomes(LayerContext inner) {
    inner.check();
    Layers.of(inner.node.className()).build(inner);
    inner.finish();
    lossDone = true;
  }

  /** Adds a layer that reads sequences with their features first, between two that turn them. */
  void featuresFirst(Layer layer) {
    String turned = turned();
    plan.add(node, new NetworkPlan.Vertex(node.name(), named(layer, node.name()), null, null, List.of(turned)));
    if (out().length == 3) {
      before("features_last", new TurnedSequences(), List.of(node.name()));
    }
  }

  /** Adds a vertex that gives the input with its features first; returns its name. */
  String turned() {
    return before("features_first", new TurnedSequences(), inputVertices());
  }

  /** The name of the vertex that the layer becomes, or of the last of several. */
  String name() {
    return node.name();
  }

  private String before(String name, InputPreProcessor preprocessor, List<String> inputs) {
    plan.add(node, new NetworkPlan.Vertex(part(name), null, null, preprocessor, inputs));
    return part(name);
  }

  /** Adds a layer of several that one layer becomes; returns its name. */
  String before(String name, Layer layer, String input) {
    plan.add(node, new NetworkPlan.Vertex(part(name), named(layer, part(name)), null, null, List.of(input)));
    return part(name);
  }

  /** Adds a vertex of several that one layer becomes; returns its name. */
  String before(String name, GraphVertex vertex, String input) {
    plan.add(node, new NetworkPlan.Vertex(part(name), null, vertex, null, List.of(input)));
    return part(name);
  }

  /** The name of one of several vertices that the layer becomes. */
  String part(String name) {
    return node.name() + "/" + name;
  }

  /** Adds a layer. */
  void layer(Layer layer) {
    add(named(layer, node.name()), null, null);
  }

  private Layer named(Layer layer, String name) {
    Layer last = layer;
    if (hasWeights && !config("trainable").asBoolean(true)) {
      if (isHead()) {
        throw new Unsayable("an output layer cannot be frozen in DL4J");
      }
      layer.setLayerName(name);
      last = new FrozenLayer(layer);
    }
    last.setLayerName(name);
    return last;
  }

  /** Adds a vertex that is no layer. */
  void vertex(GraphVertex vertex) {
    add(null, vertex, null);
  }

  /** Adds a vertex that reads others that the layer becomes. */
  void vertex(GraphVertex vertex, String... inputs) {
    plan.add(node, new NetworkPlan.Vertex(node.name(), null, vertex, null, List.of(inputs)));
  }

  /** Adds what only sees its input in another shape. */
  void preprocessor(InputPreProcessor preprocessor) {
    add(null, null, preprocessor);
  }

  /** Says that the layer gives what it gets. An output of the network has to be a vertex all the same. */
  void skip() {
    if (output >= 0) {
      layer(new ActivationLayer.Builder().activation(new ActivationIdentity()).build());
    } else {
      plan.skip(node);
    }
  }

  private void add(Layer layer, GraphVertex vertex, InputPreProcessor preprocessor) {
    plan.add(node, new NetworkPlan.Vertex(node.name(), layer, vertex, preprocessor, inputVertices()));
  }

  private List<String> inputVertices() {
    List<String> inputs = new ArrayList<>();
    node.inputs().forEach(input -> inputs.add(plan.vertex(input)));
    return inputs;
  }

  /** Adds what an output that is trained still lacks: a layer with its loss. */
  void finish() {
    if (loss == null || lossDone) {
      return;
    }
    if (out().length != 2) {
      throw new Unsayable("its output has " + out().length + " axes, and DL4J takes the mean of losses over the batch alone");
    }
    ILossFunction function = loss(activationName(config("activation")));
    LossLayer head = new LossLayer.Builder(function).activation(new ActivationIdentity()).build();
    String name = node.name() + "/loss";
    head.setLayerName(name);
    plan.add(node, new NetworkPlan.Vertex(name, head, null, null, List.of(plan.vertex(node.name()))));
  }

  /** How the activation that the layer ends with is called, for losses that need one. */
  String activationName(JsonNode activation) {
    return Activations.isSoftmax(activation) || node.className().equals("Softmax") ? "softmax" : activation.asText();
  }

  /** The layer's activation. Inside of convolutions the channels are no last axis in DL4J, over which softmax would be. */
  IActivation activation() {
    if (Activations.isSoftmax(config("activation")) && node.className().contains("Conv")) {
      throw new Unsayable("DL4J's softmax inside of a convolution is not over the channels");
    }
    return Activations.of(config("activation"));
  }

  /** Binds a parameter to a weight of the layer, or to 0 (1 for a scale) where Keras has none. */
  void bind(String parameter, String variable, Layout layout) {
    bind(node.name(), parameter, this, variable, layout);
  }

  /** The same for a weight of the layer that another context stands for, in one of several vertices. */
  void bind(String vertex, String parameter, LayerContext owner, String variable, Layout layout) {
    if (node.call() > 0) {
      throw new Unsayable("it is shared: DL4J has no layers that are called more than once");
    }
    String name = plan.weightName(owner.node.path(), variable);
    hasWeights = true;
    plan.bind(new Binding(vertex, parameter, name, layout));
  }

  /** What the bundle says of a weight: initializer, regularizer, constraint, shape; missing if there is no such weight. */
  JsonNode weight(String variable) {
    String name = plan.weightName(node.path(), variable);
    return name == null ? config().path("no such weight") : plan.weight(name).json();
  }

  /** Sets what all layers with weights have: updater, regularisation, constraints, distributions, clipping. */
  <T extends BaseLayer.Builder<T>> T trained(T builder, String kernel, String bias, int... axes) {
    JsonNode w = weight(kernel);
    JsonNode b = weight(bias);
    List<Regularization> ofWeights = Regularizers.of(w.path("regularizer"));
    List<Regularization> ofBias = Regularizers.of(b.path("regularizer"));
    if (!(ofWeights.isEmpty() && ofBias.isEmpty()) && plan.training().clipping() != null) {
      throw new Unsayable("DL4J clips gradients before it adds those of regularizers, Keras after");
    }
    ofWeights.addAll(plan.training().decays());
    ofBias.addAll(plan.training().decays());
    builder.regularization(ofWeights);
    builder.regularizationBias(ofBias);
    builder.updater(plan.updater().clone());
    if (b.isMissingNode()) {
      // NB: some layers of DL4J have a bias always; it is 0 then, and stays 0.
      builder.biasUpdater(new NoOp());
    }
    builder.weightInit(Initializers.of(w.path("initializer"), sizes(w)));
    if (!b.isMissingNode() && b.path("initializer").path("class_name").asText().equals("Constant")) {
      builder.biasInit(b.path("initializer").path("config").path("value").asDouble());
    } else if (!b.isMissingNode() && b.path("initializer").path("class_name").asText().equals("Ones")) {
      builder.biasInit(1);
    }
    if (plan.training().clipping() != null) {
      builder.gradientNormalization(plan.training().clipping());
      builder.gradientNormalizationThreshold(plan.training().clippingThreshold());
    }
    LayerConstraint ofKernel = Constraints.of(w.path("constraint"), axes);
    if (ofKernel != null) {
      builder.constrainWeights(ofKernel);
    }
    LayerConstraint ofB = Constraints.of(b.path("constraint"), 1);
    if (ofB != null) {
      builder.constrainBias(ofB);
    }
    return builder;
  }

  /** The same for layers between features and features. */
  <T extends FeedForwardLayer.Builder<T>> T features(T builder, long in, long out, String kernel, String bias, int... axes) {
    builder.nIn(in);
    builder.nOut(out);
    return trained(builder, kernel, bias, axes);
  }

  /** The same for convolutions. */
  <T extends ConvolutionLayer.BaseConvBuilder<T>> T convolution(
      ConvolutionLayer.BaseConvBuilder<T> builder, long in, long out, String kernel, int... axes) {
    @SuppressWarnings("unchecked")
    T typed = (T) builder;
    return features(typed, in, out, kernel, "bias", axes);
  }

  /** Sets what batch normalisation has of this: the updater, and clipping. */
  void batchNormTraining(BatchNormalization.Builder builder) {
    requireNotTrained(!plan.training().decays().isEmpty(), "DL4J has no weight decay of scale and offset");
    builder.updater(plan.updater().clone());
    if (plan.training().clipping() != null) {
      throw new Unsayable("DL4J would clip the moving statistics like gradients");
    }
  }

  /** Requires two weights to be regularised and constrained alike, since DL4J has one rule for both. */
  void requireSame(String first, String second) {
    JsonNode a = weight(first);
    JsonNode b = weight(second);
    boolean regularized = !a.path("regularizer").equals(b.path("regularizer"));
    boolean constrained = a.hasNonNull("constraint") || b.hasNonNull("constraint");
    requireNotTrained(regularized, "DL4J has one regularizer for both of its kernels");
    requireNotTrained(constrained, "DL4J has one constraint for both of its kernels");
  }

  static long[] sizes(JsonNode weight) {
    long[] shape = new long[weight.path("shape").size()];
    Arrays.setAll(shape, i -> weight.path("shape").get(i).asLong());
    return shape;
  }

  /** Whether the model is compiled. */
  boolean isTrained() {
    return plan.training().compiled();
  }

  /** Throws if the layer is to be trained, and DL4J trains it differently. */
  void requireNotTrained(boolean differs, String reason) {
    if (differs && plan.training().compiled()) {
      throw new Unsayable(reason);
    }
  }

  int[] ints(String key) {
    int[] values = new int[config(key).size()];
    Arrays.setAll(values, i -> config(key).get(i).asInt());
    return values;
  }
}
