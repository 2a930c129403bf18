package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Convolutions. Kernels are used as Keras lays them out: {@code [spatial..., in, out]}, transposed ones {@code [spatial..., out,
 * in]}, depthwise ones {@code [spatial..., in, multiplier]}.
 */
public final class Convolutions implements OpMappings {
  /** Makes the family; for the service loader. */
  public Convolutions() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Conv", Convolutions::conv);
    registry.op("DepthwiseConv", Convolutions::depthwiseConv);
    registry.op("SeparableConv", Convolutions::separableConv);
    registry.op("ConvTranspose", Convolutions::convTranspose);
  }

  /**
   * {@code Conv}: ND4J's {@code conv2d} (also for one spatial axis) and {@code conv3dnew}. Groups are not known to ND4J: each group
   * is convolved by itself, from and to copies, because strided views keep {@code conv2d} off its fast path.
   */
  private static Step conv(OpContext context) {
    Kernel kernel = new Kernel(context);
    Spatial spatial = Spatial.of(context);
    DataType type = Kernel.precise(context.input(0).dataType());
    INDArray x = kernel.input(0, type);
    INDArray w = kernel.input(1, type);
    int n = spatial.axes();
    long[] strides = spatial.perAxis(context, "strides");
    long[] dilation = spatial.perAxis(context, "dilation_rate");
    long filters = w.size(n + 1);
    INDArray output = context.allocate(0, spatial.shape(filters, spatial.outputSizes(w.shape(), strides, dilation)));
    INDArray z = kernel.computed(output, type);
    long groups = spatial.channels() / w.size(n);
    if (groups * w.size(n) != spatial.channels() || filters % groups != 0) {
      throw kernel.unsupported(
          "input channels to be a multiple of the kernel's input channels, and output channels of the groups",
          Arrays.toString(x.shape()) + " and kernel " + Arrays.toString(w.shape()));
    }
    if (groups == 1) {
      return convolve(kernel, spatial, x, w, z, strides, dilation).round(z, output).step();
    }
    int axis = spatial.channelAxis();
    for (int g = 0; g < groups; g++) {
      INDArray xg = contiguous(kernel, Views.range(x, axis, g * w.size(n), w.size(n)));
      INDArray wg = contiguous(kernel, Views.range(w, n + 1, g * (filters / groups), filters / groups));
      INDArray zg = kernel.scratch(z.dataType(), Shapes.replace(z.shape(), axis, filters / groups));
      convolve(kernel, spatial, xg, wg, zg, strides, dilation);
      kernel.copy(zg, Views.range(z, axis, g * (filters / groups), filters / groups));
    }
    return kernel.round(z, output).step();
  }

  private static Kernel convolve(
      Kernel kernel, Spatial spatial, INDArray x, INDArray w, INDArray z, long[] strides, long[] dilation) {
    long[] window = Arrays.copyOf(w.shape(), spatial.axes());
    return kernel
        .op(spatial.axes() == 3 ? "conv3dnew" : "conv2d")
        .in(spatial.wide(x), spatial.wideKernel(w))
        .out(spatial.wide(z))
        .ints(Shapes.concat(spatial.arguments(window, strides, dilation), new long[] {spatial.formatFlag(), 0}))
        .plain(Spatial.dilated(dilation))
        .add();
  }

  private static INDArray contiguous(Kernel kernel, INDArray view) {
    INDArray copy = kernel.scratchLike(view);
    kernel.copy(view, copy);
    return copy;
  }

  /** {@code DepthwiseConv}: ND4J's {@code depthwise_conv2d}, also for one spatial axis. */
  private static Step depthwiseConv(OpContext context) {
    Kernel kernel = new Kernel(context);
    Spatial spatial = twoAxesAtMost(context);
    DataType type = Kernel.precise(context.input(0).dataType());
    INDArray w = kernel.input(1, type);
    long[] strides = spatial.perAxis(context, "strides");
    long[] dilation = spatial.perAxis(context, "dilation_rate");
    long[] sizes = spatial.outputSizes(w.shape(), strides, dilation);
    INDArray output = context.allocate(0, spatial.shape(depthwiseChannels(spatial, w), sizes));
    INDArray z = kernel.computed(output, type);
    return depthwise(kernel, spatial, kernel.input(0, type), w, z, strides, dilation).round(z, output).step();
  }

  /** {@code SeparableConv}: a depthwise convolution into scratch, then a convolution with a window of 1. */
  private static Step separableConv(OpContext context) {
    Kernel kernel = new Kernel(context);
    Spatial spatial = twoAxesAtMost(context);
    DataType type = Kernel.precise(context.input(0).dataType());
    INDArray x = kernel.input(0, type);
    INDArray w = kernel.input(1, type);
    INDArray pointwise = kernel.input(2, type);
    long[] strides = spatial.perAxis(context, "strides");
    long[] dilation = spatial.perAxis(context, "dilation_rate");
    long[] sizes = spatial.outputSizes(w.shape(), strides, dilation);
    INDArray middle = spatial.scratch(kernel, x.dataType(), depthwiseChannels(spatial, w), sizes);
    INDArray output = context.allocate(0, spatial.shape(pointwise.size(spatial.axes() + 1), sizes));
    INDArray z = kernel.computed(output, type);
    depthwise(kernel, spatial, x, w, middle, strides, dilation);
    long[] one = Shapes.ones(spatial.axes());
    return convolve(kernel, spatial, middle, pointwise, z, one, one).round(z, output).step();
  }

  private static long depthwiseChannels(Spatial spatial, INDArray w) {
    return spatial.channels() * w.size(spatial.axes() + 1);
  }

  private static Kernel depthwise(
      Kernel kernel, Spatial spatial, INDArray x, INDArray w, INDArray z, long[] strides, long[] dilation) {
    long[] window = Arrays.copyOf(w.shape(), spatial.axes());
    return kernel
        .op("depthwise_conv2d")
        .in(spatial.wide(x), spatial.wideKernel(w))
        .out(spatial.wide(z))
        .ints(Shapes.concat(spatial.arguments(window, strides, dilation), new long[] {spatial.formatFlag(), 0}))
        .plain(Spatial.dilated(dilation))
        .add();
  }

  private static Spatial twoAxesAtMost(OpContext context) {
    Spatial spatial = Spatial.of(context);
    if (spatial.axes() > 2) {
      throw Kernel.unsupported(context, "1 or 2 spatial axes", spatial.axes());
    }
    return spatial;
  }

  /**
   * {@code ConvTranspose}: ND4J's {@code deconv2d} and {@code deconv3d} without padding, which give every position the kernel
   * reaches; from that the part that Keras's padding rule keeps is copied, and zeros stand where the kernel reaches nothing. ND4J's
   * own {@code same} mode has no output padding, and its {@code valid} shape differs where the kernel is smaller than the stride.
   */
  private static Step convTranspose(OpContext context) {
    Kernel kernel = new Kernel(context);
    Spatial spatial = Spatial.of(context);
    DataType type = Kernel.precise(context.input(0).dataType());
    INDArray x = kernel.input(0, type);
    INDArray w = kernel.input(1, type);
    int n = spatial.axes();
    long[] strides = spatial.perAxis(context, "strides");
    long[] dilation = spatial.perAxis(context, "dilation_rate");
    long[] full = new long[n];
    long[] sizes = new long[n];
    long[] starts = new long[n];
    for (int i = 0; i < n; i++) {
      long span = (w.size(i) - 1) * dilation[i] + 1;
      full[i] = (spatial.size(i) - 1) * strides[i] + span;
      sizes[i] = transposedSize(context, spatial, i, span, strides[i]);
      starts[i] = spatial.same() ? Math.max(0, full[i] - sizes[i]) / 2 : 0;
    }
    long filters = w.size(n);
    INDArray output = context.allocate(0, spatial.shape(filters, sizes));
    INDArray z = kernel.computed(output, type);
    INDArray all = Arrays.equals(full, sizes) ? z : spatial.scratch(kernel, z.dataType(), filters, full);
    deconvolve(kernel, spatial, x, w, all, strides, dilation);
    if (all != z) {
      cut(kernel, spatial, all, z, starts);
    }
    return kernel.round(z, output).step();
  }

  private static long transposedSize(OpContext context, Spatial spatial, int i, long span, long stride) {
    boolean given = context.attrs().has("output_padding");
    long extra = given ? spatial.perAxis(context, "output_padding")[i] : 0;
    long reach = (spatial.size(i) - 1) * stride;
    if (spatial.same()) {
      return given ? reach + span % 2 + extra : spatial.size(i) * stride;
    }
    return given ? reach + span + extra : reach + Math.max(span, stride);
  }

  private static void deconvolve(
      Kernel kernel, Spatial spatial, INDArray x, INDArray w, INDArray z, long[] strides, long[] dilation) {
    long[] window = spatial.wide(Arrays.copyOf(w.shape(), spatial.axes()));
    long[] none = new long[window.length];
    long[] modes = {0, spatial.formatFlag(), 0};
    kernel
        .op(spatial.axes() == 3 ? "deconv3d" : "deconv2d")
        .in(spatial.wide(x), spatial.wideKernel(w))
        .out(spatial.wide(z))
        .ints(Shapes.concat(window, spatial.wide(strides), none, spatial.wide(dilation), modes))
        .plain(Spatial.dilated(dilation))
        .add();
  }

  private static void cut(Kernel kernel, Spatial spatial, INDArray all, INDArray z, long[] starts) {
    long[] from = new long[z.rank()];
    long[] size = z.shape().clone();
    boolean covered = true;
    for (int i = 0; i < starts.length; i++) {
      int axis = i + (spatial.channelsLast() ? 1 : 2);
      from[axis] = starts[i];
      size[axis] = Math.min(z.size(axis), all.size(axis) - starts[i]);
      covered &= size[axis] == z.size(axis);
    }
    if (!covered) {
      kernel.fill(z, 0);
    }
    long[] steps = Shapes.ones(z.rank());
    kernel.copy(Views.slice(all, from, size, steps), Views.slice(z, new long[z.rank()], size, steps));
  }
}
