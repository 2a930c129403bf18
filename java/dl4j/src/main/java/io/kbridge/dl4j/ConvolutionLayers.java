package io.kbridge.dl4j;

import java.util.Map;
import org.deeplearning4j.nn.conf.CNN2DFormat;
import org.deeplearning4j.nn.conf.ConvolutionMode;
import org.deeplearning4j.nn.conf.RNNFormat;
import org.deeplearning4j.nn.conf.layers.Convolution1DLayer;
import org.deeplearning4j.nn.conf.layers.Convolution3D;
import org.deeplearning4j.nn.conf.layers.ConvolutionLayer;
import org.deeplearning4j.nn.conf.layers.Deconvolution2D;
import org.deeplearning4j.nn.conf.layers.DepthwiseConvolution2D;
import org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer;
import org.deeplearning4j.nn.conf.layers.Layer;
import org.deeplearning4j.nn.conf.layers.PoolingType;
import org.deeplearning4j.nn.conf.layers.SeparableConvolution2D;
import org.deeplearning4j.nn.conf.layers.Subsampling1DLayer;
import org.deeplearning4j.nn.conf.layers.Subsampling3DLayer;
import org.deeplearning4j.nn.conf.layers.SubsamplingLayer;
import org.deeplearning4j.nn.conf.layers.Upsampling1D;
import org.deeplearning4j.nn.conf.layers.Upsampling2D;
import org.deeplearning4j.nn.conf.layers.Upsampling3D;
import org.deeplearning4j.nn.conf.layers.ZeroPadding1DLayer;
import org.deeplearning4j.nn.conf.layers.ZeroPadding3DLayer;
import org.deeplearning4j.nn.conf.layers.ZeroPaddingLayer;
import org.deeplearning4j.nn.conf.layers.convolutional.Cropping1D;
import org.deeplearning4j.nn.conf.layers.convolutional.Cropping2D;
import org.deeplearning4j.nn.conf.layers.convolutional.Cropping3D;

/** Convolutions, poolings, padding and cropping. */
final class ConvolutionLayers {
  private ConvolutionLayers() {}

  static void register(Map<String, LayerMapping> layers) {
    layers.put("Conv1D", ConvolutionLayers::conv1d);
    layers.put("Conv2D", ConvolutionLayers::conv2d);
    layers.put("Conv3D", ConvolutionLayers::conv3d);
    layers.put("DepthwiseConv2D", ConvolutionLayers::depthwise);
    layers.put("SeparableConv2D", ConvolutionLayers::separable);
    layers.put("Conv2DTranspose", ConvolutionLayers::transposed);
    layers.put("MaxPooling1D", ConvolutionLayers::maxPool1d);
    layers.put("AveragePooling1D", layer -> {
      throw new Unsayable("DL4J's averages of sequences are wrong");
    });
    layers.put("MaxPooling2D", layer -> pool2d(layer, PoolingType.MAX));
    layers.put("AveragePooling2D", layer -> pool2d(layer, PoolingType.AVG));
    layers.put("MaxPooling3D", layer -> pool3d(layer, PoolingType.MAX));
    layers.put("AveragePooling3D", layer -> pool3d(layer, PoolingType.AVG));
    for (String rank : new String[] {"1D", "2D", "3D"}) {
      layers.put("GlobalMaxPooling" + rank, layer -> globalPool(layer, PoolingType.MAX));
      layers.put("GlobalAveragePooling" + rank, layer -> globalPool(layer, PoolingType.AVG));
    }
    layers.put("ZeroPadding2D", layer -> layer.layer(
        new ZeroPaddingLayer.Builder(edges(layer, "padding")).dataFormat(images(layer)).build()));
    layers.put("Cropping2D", layer -> layer.layer(
        new Cropping2D.Builder(edges(layer, "cropping")).dataFormat(images(layer)).build()));
    layers.put("UpSampling2D", ConvolutionLayers::upsampling);
    layers.put("ZeroPadding1D", layer -> alongTime(layer, new ZeroPadding1DLayer.Builder(layer.ints("padding")).build()));
    layers.put("Cropping1D", layer -> alongTime(layer, new Cropping1D.Builder(layer.ints("cropping")).build()));
    layers.put("UpSampling1D", layer -> alongTime(layer, new Upsampling1D.Builder(layer.config("size").asInt()).build()));
    layers.put("ZeroPadding3D", layer -> volume(layer, new ZeroPadding3DLayer.Builder(edges(layer, "padding")).build()));
    layers.put("Cropping3D", layer -> volume(layer, new Cropping3D.Builder(edges(layer, "cropping")).build()));
    layers.put("UpSampling3D", layer -> volume(layer, new Upsampling3D.Builder().size(layer.ints("size")).dataFormat(volumes(layer)).build()));
  }

  private static int[] edges(LayerContext layer, String key) {
    int[] edges = new int[2 * layer.config(key).size()];
    for (int i = 0; i < edges.length; i++) {
      edges[i] = layer.config(key).get(i / 2).get(i % 2).asInt();
    }
    return edges;
  }

  private static void volume(LayerContext layer, Layer made) {
    if (!layer.channelsFirst()) {
      throw new Unsayable("DL4J has it for volumes with channels first only");
    }
    layer.layer(made);
  }

  /** The mode of padding. */
  private static ConvolutionMode mode(LayerContext layer) {
    String padding = layer.config("padding").asText("valid");
    return padding.equals("same") ? ConvolutionMode.Same : padding.equals("causal") ? ConvolutionMode.Causal : ConvolutionMode.Truncate;
  }

  private static boolean bias(LayerContext layer) {
    if (layer.config("groups").asInt(1) != 1) {
      throw new Unsayable("DL4J has no convolutions in groups");
    }
    boolean bias = layer.config("use_bias").asBoolean(true);
    long width = layer.out()[layer.out().length - 1];
    if (bias && layer.channelsFirst() && (width < 0 || width == layer.filters())) {
      throw new Unsayable("where its output is as wide as it has channels, TensorFlow's Keras adds the bias along the width");
    }
    if (bias) {
      layer.bind("b", "bias", Layout.same());
    }
    return bias;
  }

  private static void requireDense(LayerContext layer) {
    for (int rate : layer.ints("dilation_rate")) {
      if (rate != 1) {
        throw new Unsayable("ND4J's dilated convolution of this kind fails");
      }
    }
  }

  private static CNN2DFormat images(LayerContext layer) {
    return layer.channelsFirst() ? CNN2DFormat.NCHW : CNN2DFormat.NHWC;
  }

  private static Convolution3D.DataFormat volumes(LayerContext layer) {
    return layer.channelsFirst() ? Convolution3D.DataFormat.NCDHW : Convolution3D.DataFormat.NDHWC;
  }

  /** Adds a layer that DL4J has for features before time only. */
  private static void alongTime(LayerContext layer, Layer made) {
    if (layer.channelsFirst()) {
      layer.layer(made);
    } else {
      layer.featuresFirst(made);
    }
  }

  /** NB: with features last, DL4J's gradients of it fail, so that its input and output are turned where it is trained. */
  private static void conv1d(LayerContext layer) {
    // NB: DL4J sees the memory of this parameter as [time, in, out].
    layer.bind("W", "kernel", Layout.same());
    requireDense(layer);
    boolean turned = layer.isTrained() && !layer.channelsFirst();
    Convolution1DLayer.Builder builder = new Convolution1DLayer.Builder();
    builder.kernelSize(layer.ints("kernel_size")[0]).stride(layer.ints("strides")[0]);
    builder.rnnDataFormat(turned || layer.channelsFirst() ? RNNFormat.NCW : RNNFormat.NWC);
    builder.dilation(layer.ints("dilation_rate")[0]).convolutionMode(mode(layer)).hasBias(bias(layer));
    Layer made = layer.convolution(builder, layer.channels(), layer.filters(), "kernel", 2, 1, 0).activation(layer.activation()).build();
    if (turned) {
      layer.featuresFirst(made);
    } else {
      layer.layer(made);
    }
  }

  private static void conv2d(LayerContext layer) {
    layer.bind("W", "kernel", Layout.permuted(3, 2, 0, 1));
    ConvolutionLayer.Builder builder = new ConvolutionLayer.Builder(layer.ints("kernel_size"));
    builder.stride(layer.ints("strides")).dataFormat(images(layer));
    builder.dilation(layer.ints("dilation_rate")).convolutionMode(mode(layer)).hasBias(bias(layer));
    layer.layer(layer.convolution(builder, layer.channels(), layer.filters(), "kernel", 2, 3, 1, 0).activation(layer.activation()).build());
  }

  private static void conv3d(LayerContext layer) {
    layer.bind("W", "kernel", Layout.permuted(4, 3, 0, 1, 2));
    requireDense(layer);
    Convolution3D.Builder builder = new Convolution3D.Builder(layer.ints("kernel_size"));
    builder.stride(layer.ints("strides")).dataFormat(volumes(layer));
    builder.dilation(layer.ints("dilation_rate")).convolutionMode(mode(layer)).hasBias(bias(layer));
    layer.layer(layer.convolution(builder, layer.channels(), layer.filters(), "kernel", 2, 3, 4, 1, 0).activation(layer.activation()).build());
  }

  private static void depthwise(LayerContext layer) {
    layer.bind("W", "kernel", Layout.same());
    requireDense(layer);
    DepthwiseConvolution2D.Builder builder = new DepthwiseConvolution2D.Builder(layer.ints("kernel_size"));
    builder.stride(layer.ints("strides")).dataFormat(images(layer)).depthMultiplier(layer.config("depth_multiplier").asInt(1));
    builder.dilation(layer.ints("dilation_rate")).convolutionMode(mode(layer)).hasBias(bias(layer));
    layer.layer(layer.convolution(builder, layer.channels(), layer.filters(), "kernel", 0, 1, 2, 3).activation(layer.activation()).build());
  }

  private static void separable(LayerContext layer) {
    layer.bind("W", "depthwise_kernel", Layout.permuted(3, 2, 0, 1));
    layer.bind("pW", "pointwise_kernel", Layout.permuted(3, 2, 0, 1));
    layer.requireSame("depthwise_kernel", "pointwise_kernel");
    SeparableConvolution2D.Builder builder = new SeparableConvolution2D.Builder(layer.ints("kernel_size"));
    builder.stride(layer.ints("strides")).dataFormat(images(layer)).depthMultiplier(layer.config("depth_multiplier").asInt(1));
    builder.dilation(layer.ints("dilation_rate")).convolutionMode(mode(layer)).hasBias(bias(layer));
    layer.layer(
        layer.convolution(builder, layer.channels(), layer.filters(), "depthwise_kernel", 2, 3, 1, 0).activation(layer.activation()).build());
  }

  private static void transposed(LayerContext layer) {
    int[] kernel = layer.ints("kernel_size");
    int[] strides = layer.ints("strides");
    if (layer.config().hasNonNull("output_padding")
        || mode(layer) != ConvolutionMode.Same && (kernel[0] < strides[0] || kernel[1] < strides[1])) {
      throw new Unsayable("DL4J gives it another size");
    }
    layer.bind("W", "kernel", Layout.permuted(3, 2, 0, 1));
    Deconvolution2D.Builder builder = new Deconvolution2D.Builder(kernel);
    builder.stride(strides).dataFormat(images(layer));
    builder.dilation(layer.ints("dilation_rate")).convolutionMode(mode(layer)).hasBias(bias(layer));
    layer.layer(layer.convolution(builder, layer.channels(), layer.filters(), "kernel", 2, 3, 1, 0).activation(layer.activation()).build());
  }

  private static void maxPool1d(LayerContext layer) {
    int stride = layer.config().hasNonNull("strides") ? layer.ints("strides")[0] : layer.ints("pool_size")[0];
    Subsampling1DLayer.Builder builder = new Subsampling1DLayer.Builder(PoolingType.MAX, layer.ints("pool_size")[0], stride, 0);
    builder.convolutionMode(mode(layer)).dataFormat(images(layer));
    layer.layer(builder.build());
  }

  private static void pool2d(LayerContext layer, PoolingType type) {
    int[] strides = layer.config().hasNonNull("strides") ? layer.ints("strides") : layer.ints("pool_size");
    layer.layer(
        new SubsamplingLayer.Builder(type, layer.ints("pool_size"), strides, new int[2])
            .convolutionMode(mode(layer)).dataFormat(images(layer)).avgPoolIncludePadInDivisor(false).build());
  }

  private static void pool3d(LayerContext layer, PoolingType type) {
    int[] strides = layer.config().hasNonNull("strides") ? layer.ints("strides") : layer.ints("pool_size");
    Subsampling3DLayer.Builder builder = new Subsampling3DLayer.Builder(type, layer.ints("pool_size"), strides, new int[3]);
    builder.convolutionMode(mode(layer));
    layer.layer(builder.dataFormat(volumes(layer)).build());
  }

  private static void globalPool(LayerContext layer, PoolingType type) {
    if (layer.config("keepdims").asBoolean(false)) {
      throw new Unsayable("DL4J's global pooling drops the axes it pools");
    }
    int[] axes = new int[layer.in(0).length - 2];
    for (int i = 0; i < axes.length; i++) {
      axes[i] = i + (layer.channelsFirst() ? 2 : 1);
    }
    layer.layer(new GlobalPoolingLayer.Builder(type).poolingDimensions(axes).build());
  }

  private static void upsampling(LayerContext layer) {
    if (!layer.config("interpolation").asText("nearest").equals("nearest")) {
      throw new Unsayable("DL4J repeats pixels only");
    }
    layer.layer(new Upsampling2D.Builder().size(layer.ints("size")).dataFormat(images(layer)).build());
  }
}
