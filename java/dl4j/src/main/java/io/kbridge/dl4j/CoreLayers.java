package io.kbridge.dl4j;

import java.util.Arrays;
import java.util.Map;
import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.conf.RNNFormat;
import org.deeplearning4j.nn.conf.dropout.AlphaDropout;
import org.deeplearning4j.nn.conf.dropout.Dropout;
import org.deeplearning4j.nn.conf.dropout.GaussianDropout;
import org.deeplearning4j.nn.conf.dropout.GaussianNoise;
import org.deeplearning4j.nn.conf.dropout.IDropout;
import org.deeplearning4j.nn.conf.graph.ReshapeVertex;
import org.deeplearning4j.nn.conf.layers.ActivationLayer;
import org.deeplearning4j.nn.conf.layers.BatchNormalization;
import org.deeplearning4j.nn.conf.layers.DenseLayer;
import org.deeplearning4j.nn.conf.layers.DropoutLayer;
import org.deeplearning4j.nn.conf.layers.OutputLayer;
import org.deeplearning4j.nn.conf.layers.PReLULayer;
import org.deeplearning4j.nn.conf.layers.recurrent.TimeDistributed;
import org.deeplearning4j.nn.conf.preprocessor.CnnToFeedForwardPreProcessor;
import org.nd4j.linalg.activations.IActivation;
import org.nd4j.linalg.activations.impl.ActivationELU;
import org.nd4j.linalg.activations.impl.ActivationLReLU;
import org.nd4j.linalg.activations.impl.ActivationSoftmax;

/** Dense layers, activations, dropout, shapes and batch normalisation. */
final class CoreLayers {
  private CoreLayers() {}

  static void register(Map<String, LayerMapping> layers) {
    layers.put("Dense", CoreLayers::dense);
    layers.put("Activation", layer -> activation(layer, layer.activation()));
    layers.put("ReLU", layer -> activation(layer, Activations.relu(layer.config())));
    layers.put("LeakyReLU", layer -> activation(layer, new ActivationLReLU(layer.config("negative_slope").asDouble(0.3))));
    layers.put("ELU", layer -> activation(layer, new ActivationELU(layer.config("alpha").asDouble(1))));
    layers.put("PReLU", CoreLayers::prelu);
    layers.put("Softmax", CoreLayers::softmax);
    layers.put("Flatten", CoreLayers::flatten);
    layers.put("Reshape", CoreLayers::reshape);
    layers.put("Dropout", layer -> dropout(layer, new Dropout(1 - layer.config("rate").asDouble())));
    layers.put("GaussianDropout", layer -> dropout(layer, new GaussianDropout(layer.config("rate").asDouble())));
    layers.put("GaussianNoise", layer -> dropout(layer, new GaussianNoise(layer.config("stddev").asDouble())));
    layers.put("AlphaDropout", layer -> dropout(layer, new AlphaDropout(1 - layer.config("rate").asDouble())));
    layers.put("BatchNormalization", CoreLayers::batchNormalization);
    layers.put("Identity", LayerContext::skip);
  }

  /** Over the features of samples, or of each step of sequences. */
  private static void dense(LayerContext layer) {
    int rank = layer.in(0).length;
    if (rank != 2 && rank != 3) {
      throw new Unsayable("its input has " + rank + " axes, and DL4J's dense layer takes samples or sequences");
    }
    long out = layer.out()[rank - 1];
    boolean bias = layer.config("use_bias").asBoolean(true);
    IActivation function = layer.activation();
    layer.bind("W", "kernel", Layout.same());
    if (bias) {
      layer.bind("b", "bias", Layout.same());
    }
    if (layer.isHead() && rank == 2) {
      OutputLayer.Builder head = new OutputLayer.Builder(layer.loss(layer.activationName(layer.config("activation"))));
      layer.layer(layer.features(head.hasBias(bias), layer.channels(), out, "kernel", "bias", 0, 1).activation(function).build());
      return;
    }
    DenseLayer dense =
        layer.features(new DenseLayer.Builder().hasBias(bias), layer.channels(), out, "kernel", "bias", 0, 1).activation(function).build();
    layer.layer(rank == 2 ? dense : new TimeDistributed(dense, RNNFormat.NWC));
  }

  private static void activation(LayerContext layer, IActivation function) {
    layer.layer(new ActivationLayer.Builder().activation(function).build());
  }

  private static void prelu(LayerContext layer) {
    requireKnown(layer.in(0));
    PReLULayer.Builder builder = new PReLULayer.Builder();
    builder.inputShape(Arrays.copyOfRange(layer.in(0), 1, layer.in(0).length));
    builder.sharedAxes(Arrays.stream(layer.ints("shared_axes")).asLongStream().toArray());
    layer.bind("W", "alpha", Layout.same());
    layer.layer(layer.features(builder, layer.channels(), layer.channels(), "alpha", "bias", 0, 1).build());
  }

  private static void softmax(LayerContext layer) {
    int axis = layer.config("axis").asInt(-1);
    if (layer.config("axis").isArray() || axis != -1 && axis != layer.in(0).length - 1) {
      throw new Unsayable("DL4J's softmax is over the last axis");
    }
    activation(layer, new ActivationSoftmax());
  }

  private static void dropout(LayerContext layer, IDropout dropout) {
    if (layer.config().hasNonNull("noise_shape")) {
      throw new Unsayable("DL4J has no noise shapes");
    }
    if (layer.config("rate").asDouble(0.5) == 0 || layer.config("stddev").asDouble(0.5) == 0) {
      layer.skip();
      return;
    }
    layer.layer(new DropoutLayer.Builder(dropout).build());
  }

  private static void flatten(LayerContext layer) {
    long[] shape = layer.in(0);
    if (shape.length == 2) {
      layer.skip();
      return;
    }
    if (layer.channelsFirst()) {
      throw new Unsayable("it puts the channels last before it flattens, and DL4J has no layer for that");
    }
    requireKnown(shape);
    if (shape.length == 4) {
      layer.preprocessor(new CnnToFeedForwardPreProcessor(shape[1], shape[2], shape[3], CNN2DFormat.NHWC));
      return;
    }
    layer.vertex(reshaped(Arrays.stream(shape).skip(1).reduce(1, (a, b) -> a * b)));
  }

  private static void reshape(LayerContext layer) {
    requireKnown(layer.in(0));
    requireKnown(layer.out());
    layer.vertex(reshaped(Arrays.copyOfRange(layer.out(), 1, layer.out().length)));
  }

  private static ReshapeVertex reshaped(long... sample) {
    int[] shape = new int[sample.length + 1];
    shape[0] = -1;
    for (int i = 0; i < sample.length; i++) {
      shape[i + 1] = (int) sample[i];
    }
    return new ReshapeVertex('c', shape, null);
  }

  static void requireKnown(long... shape) {
    for (int i = 1; i < shape.length; i++) {
      if (shape[i] < 0) {
        throw new Unsayable("a size of its input is open");
      }
    }
  }

  private static void batchNormalization(LayerContext layer) {
    int rank = layer.in(0).length;
    int given = layer.config("axis").asInt(-1);
    int axis = given < 0 ? given + rank : given;
    if ((rank != 2 || axis != 1) && (rank != 4 || axis != 1 && axis != 3)) {
      throw new Unsayable("DL4J normalises the features of samples, or the channels of images");
    }
    boolean center = layer.config("center").asBoolean(true);
    boolean scale = layer.config("scale").asBoolean(true);
    layer.requireNotTrained(center != scale, "DL4J trains scale and offset both, or none");
    layer.requireNotTrained(layer.config().hasNonNull("gamma_regularizer") || layer.config().hasNonNull("beta_regularizer")
        || layer.config().hasNonNull("gamma_constraint") || layer.config().hasNonNull("beta_constraint"),
        "DL4J has no regularizers or constraints of scale and offset");
    BatchNormalization.Builder builder = new BatchNormalization.Builder();
    long n = layer.in(0)[axis];
    builder.nIn(n).nOut(n);
    layer.batchNormTraining(builder);
    builder.eps(layer.config("epsilon").asDouble()).decay(layer.config("momentum").asDouble()).useLogStd(false);
    builder.lockGammaBeta(!center && !scale);
    if (rank == 4) {
      builder.dataFormat(axis == 1 ? CNN2DFormat.NCHW : CNN2DFormat.NHWC);
    }
    layer.bind("mean", "moving_mean", Layout.same());
    layer.bind("var", "moving_variance", Layout.same());
    if (center || scale) {
      layer.bind("gamma", "gamma", Layout.same());
      layer.bind("beta", "beta", Layout.same());
    }
    layer.layer(builder.build());
  }
}
