package io.kbridge.samediff;

import java.util.Arrays;
import java.util.stream.LongStream;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.enums.WeightsFormat;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ops.impl.layers.convolution.config.Conv2DConfig;
import org.nd4j.linalg.api.ops.impl.layers.convolution.config.Conv3DConfig;
import org.nd4j.linalg.api.ops.impl.layers.convolution.config.DeConv2DConfig;
import org.nd4j.linalg.api.ops.impl.layers.convolution.config.DeConv3DConfig;
import org.nd4j.linalg.api.ops.impl.layers.convolution.config.PaddingMode;
import org.nd4j.linalg.api.ops.impl.layers.convolution.config.Pooling2DConfig;
import org.nd4j.linalg.api.ops.impl.layers.convolution.config.Pooling3DConfig;
import org.nd4j.linalg.factory.Nd4j;

/** Convolutions and poolings, computed channels last over Keras's kernels as they are. */
public final class ConvolutionOps implements SameDiffMappings {
  /** Makes the family; for the service loader. */
  public ConvolutionOps() {}

  @Override
  public void register(SameDiffRegistry registry) {
    registry.op("Conv", ConvolutionOps::conv);
    registry.op("DepthwiseConv", node -> depthwise(node, false));
    registry.op("SeparableConv", node -> depthwise(node, true));
    registry.op("ConvTranspose", ConvolutionOps::transposed);
    registry.op("MaxPool", node -> pool(node, true));
    registry.op("AveragePool", node -> pool(node, false));
  }

  private static void conv(SameDiffNode node) {
    Images images = new Images(node);
    DataType type = Formulas.precise(node.type());
    int n = images.axes();
    long[] strides = images.perAxis("strides", Images.ones(n));
    long[] dilation = images.perAxis("dilation_rate", Images.ones(n));
    long[] window = images.wide(Arrays.copyOf(node.shape(1), n));
    SDVariable x = images.input(type);
    SDVariable w = images.kernel(1, type);
    int groups = (int) (images.channels() / node.shape(1)[n]);
    if (groups == 1) {
      images.give(conv(images, x, w, window, strides, dilation, node.shape(1)[n], node.shape(1)[n + 1]));
      return;
    }
    // NB: SameDiff's has no groups.
    int channelAxis = Math.max(2, n) + 1;
    long in = node.shape(1)[n];
    long out = node.shape(1)[n + 1] / groups;
    SDVariable[] parts = new SDVariable[groups];
    for (int i = 0; i < groups; i++) {
      SDVariable part = Formulas.range(x, channelAxis + 1, channelAxis, i * in, (i + 1) * in);
      SDVariable kernel = Formulas.range(w, channelAxis + 1, channelAxis, i * out, (i + 1) * out);
      parts[i] = conv(images, part, kernel, window, strides, dilation, in, out);
    }
    images.give(node.sd().concat(channelAxis, parts));
  }

  private static SDVariable conv(
      Images images, SDVariable x, SDVariable kernel, long[] given, long[] strides, long[] dilation, long... channels) {
    SDVariable w = dilate(kernel, given, dilation, channels);
    long[] window = spans(given, dilation);
    if (images.axes() < 3) {
      return images.sd().cnn().conv2d(x, w, config(images, window, strides));
    }
    Conv3DConfig config =
        Conv3DConfig.builder()
            .kD(window[0]).kH(window[1]).kW(window[2])
            .sD(strides[0]).sH(strides[1]).sW(strides[2])
            .dD(1).dH(1).dW(1)
            .paddingMode(mode(images)).dataFormat("NDHWC").build();
    return images.sd().cnn().conv3d(x, w, config);
  }

  private static PaddingMode mode(Images images) {
    return images.same() ? PaddingMode.SAME : PaddingMode.VALID;
  }

  private static long[] spans(long[] window, long[] dilation) {
    long[] spans = new long[window.length];
    Arrays.setAll(spans, i -> (window[i] - 1) * dilation[i] + 1);
    return spans;
  }

  /** Puts zeros between the elements of a kernel: ND4J's own dilation fails with oneDNN. */
  private static SDVariable dilate(SDVariable kernel, long[] window, long[] dilation, long... channels) {
    SameDiff sd = kernel.getSameDiff();
    int rank = window.length + 2;
    SDVariable w = kernel;
    for (int i = 0; i < window.length; i++) {
      if (dilation[i] == 1 || window[i] == 1) {
        continue;
      }
      int[] padding = new int[2 * (rank + 1)];
      padding[2 * (i + 1) + 1] = (int) dilation[i] - 1;
      SDVariable apart = sd.nn().pad(sd.expandDims(w, i + 1), sd.constant(Nd4j.createFromArray(padding).reshape(rank + 1, 2)), 0);
      Sizes sizes = new Sizes(sd);
      for (int axis = 0; axis < rank; axis++) {
        long size = axis < window.length ? window[axis] : channels[axis - window.length];
        sizes.add(axis == i ? window[axis] * dilation[axis] : axis < i ? (window[axis] - 1) * dilation[axis] + 1 : size);
      }
      w = Formulas.range(sizes.reshape(apart), rank, i, 0, (window[i] - 1) * dilation[i] + 1);
    }
    return w;
  }

  private static Conv2DConfig config(Images images, long[] window, long[] strides) {
    return Conv2DConfig.builder()
        .kH(window[0]).kW(window[1])
        .sH(strides[0]).sW(strides[1])
        .pH(0).pW(0)
        .dH(1).dW(1)
        .paddingMode(mode(images)).dataFormat("NHWC").weightsFormat(WeightsFormat.YXIO).build();
  }

  private static void depthwise(SameDiffNode node, boolean separable) {
    Images images = new Images(node);
    int n = images.axes();
    if (n > 2) {
      throw new Refusal("three spatial axes");
    }
    DataType type = Formulas.precise(node.type());
    long[] strides = images.perAxis("strides", Images.ones(n));
    long[] dilation = images.perAxis("dilation_rate", Images.ones(n));
    long[] window = images.wide(Arrays.copyOf(node.shape(1), n));
    SDVariable x = images.input(type);
    SDVariable w = dilate(images.kernel(1, type), window, dilation, node.shape(1)[n], node.shape(1)[n + 1]);
    SDVariable z = node.sd().cnn().depthWiseConv2d(x, w, config(images, spans(window, dilation), strides));
    if (separable) {
      long[] one = {1, 1};
      z = conv(images, z, images.kernel(2, type), one, one, one, node.shape(2)[n], node.shape(2)[n + 1]);
    }
    images.give(z);
  }

  /**
   * SameDiff's transposed convolution without padding gives every position the kernel reaches; Keras keeps a part of that, and has zeros where
   * the kernel reaches nothing.
   */
  private static void transposed(SameDiffNode node) {
    Images images = new Images(node);
    DataType type = Formulas.precise(node.type());
    int n = images.axes();
    long[] strides = images.perAxis("strides", Images.ones(n));
    long[] dilation = images.perAxis("dilation_rate", Images.ones(n));
    long[] window = images.wide(Arrays.copyOf(node.shape(1), n));
    SDVariable w = dilate(images.kernel(1, type), window, dilation, node.shape(1)[n], node.shape(1)[n + 1]);
    SDVariable z = deconvolve(images, images.input(type), w, spans(window, dilation), strides);
    int lead = n == 1 ? 1 : 0;
    for (int i = lead; i < window.length; i++) {
      z = fit(node, images, z, i, lead, window, strides, dilation);
    }
    images.give(z);
  }

  private static SDVariable fit(
      SameDiffNode node, Images images, SDVariable z, int i, int lead, long[] window, long[] strides, long[] dilation) {
    long span = (window[i] - 1) * dilation[i] + 1;
    boolean given = node.attrs().has("output_padding");
    long extra = given ? node.attrs().getLongs("output_padding")[i - lead] : 0;
    long in = images.size(i - lead);
    if (in < 0) {
      if (!images.same() && !given && span >= strides[i]) {
        return z;
      }
      throw new Refusal("a spatial size that is known at call time only");
    }
    long reach = (in - 1) * strides[i];
    long full = reach + span;
    long size = given ? reach + (images.same() ? span % 2 : span) + extra : images.same() ? in * strides[i] : reach + Math.max(span, strides[i]);
    long start = images.same() ? Math.max(0, full - size) / 2 : 0;
    int rank = window.length + 2;
    if (full - start < size) {
      int[] padding = new int[2 * rank];
      padding[2 * (i + 1) + 1] = (int) (size - (full - start));
      SDVariable cut = start == 0 ? z : Formulas.range(z, rank, i + 1, start, full);
      return z.getSameDiff().nn().pad(cut, z.getSameDiff().constant(Nd4j.createFromArray(padding).reshape(rank, 2)), 0);
    }
    return full == size ? z : Formulas.range(z, rank, i + 1, start, start + size);
  }

  private static SDVariable deconvolve(Images images, SDVariable x, SDVariable w, long[] window, long[] strides) {
    SameDiff sd = images.sd();
    if (window.length == 3) {
      DeConv3DConfig config =
          DeConv3DConfig.builder()
              .kD(window[0]).kH(window[1]).kW(window[2])
              .sD(strides[0]).sH(strides[1]).sW(strides[2])
              .dD(1).dH(1).dW(1)
              .isSameMode(false).dataFormat("NDHWC").build();
      return sd.cnn().deconv3d(x, w, config);
    }
    DeConv2DConfig config =
        DeConv2DConfig.builder()
            .kH(window[0]).kW(window[1]).sH(strides[0]).sW(strides[1])
            .pH(0).pW(0).dH(1).dW(1)
            .isSameMode(false).dataFormat("NHWC").build();
    return sd.cnn().deconv2d(x, w, config);
  }

  /** An average leaves the padding out, as Keras's does. */
  private static void pool(SameDiffNode node, boolean largest) {
    Images images = new Images(node);
    long[] window = images.wide(LongStream.of(node.attrs().getLongs("pool_size")).toArray());
    long[] strides = images.perAxis("strides", node.attrs().getLongs("pool_size"));
    SDVariable x = images.input(node.type());
    if (images.axes() == 3) {
      Pooling3DConfig config =
          Pooling3DConfig.builder()
              .kD(window[0]).kH(window[1]).kW(window[2])
              .sD(strides[0]).sH(strides[1]).sW(strides[2])
              .dD(1).dH(1).dW(1)
              .isSameMode(images.same()).isNCDHW(false).build();
      images.give(largest ? node.sd().cnn().maxPooling3d(x, config) : node.sd().cnn().avgPooling3d(x, config));
      return;
    }
    Pooling2DConfig config =
        Pooling2DConfig.builder()
            .kH(window[0]).kW(window[1]).sH(strides[0]).sW(strides[1]).pH(0).pW(0).dH(1).dW(1)
            .paddingMode(mode(images)).isNHWC(true).build();
    images.give(largest ? node.sd().cnn().maxPooling2d(x, config) : node.sd().cnn().avgPooling2d(x, config));
  }
}
