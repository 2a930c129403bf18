package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The gradients of convolutions and poolings, ops that Keras has not. They have the attributes of the forward op, and {@code shape}: that of
 * what they are the gradient of. {@code ...BackpropInput} reads the kernel and the output's gradient, {@code ...BackpropFilter} the input and
 * the output's gradient, {@code ...PoolGrad} the input and the output's gradient.
 */
public final class ConvolutionGradients implements OpMappings {
  /** Makes the family; for the service loader. */
  public ConvolutionGradients() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("ConvBackpropInput", context -> gradient(context, false, false));
    registry.op("ConvBackpropFilter", context -> gradient(context, false, true));
    registry.op("DepthwiseConvBackpropInput", context -> gradient(context, true, false));
    registry.op("DepthwiseConvBackpropFilter", context -> gradient(context, true, true));
    registry.op("MaxPoolGrad", context -> pool(context, "maxpool"));
    registry.op("AveragePoolGrad", context -> pool(context, "avgpool"));
  }

  /** ND4J computes both gradients; for one alone, zeros stand for the array it is of, which it does not depend on. */
  private static Step gradient(OpContext context, boolean depthwise, boolean ofKernel) {
    Kernel k = new Kernel(context);
    DataType type = Kernel.precise(context.outputType(0));
    INDArray output = context.allocate(0, context.attrs().getLongs("shape"));
    INDArray z = k.computed(output, type);
    INDArray other = k.input(0, type);
    INDArray g = k.input(1, type);
    INDArray zeros = k.scratchLike(z);
    INDArray unused = k.scratchLike(other);
    k.fill(zeros, 0);
    if (ofKernel) {
      both(context, k, depthwise, other, zeros, g, unused, z);
    } else {
      both(context, k, depthwise, zeros, other, g, z, unused);
    }
    return k.round(z, output).step();
  }

  /** Adds the calls that compute both gradients, for each group of channels. */
  private static void both(
      OpContext context, Kernel k, boolean depthwise, INDArray x, INDArray w, INDArray g, INDArray dx, INDArray dw) {
    Spatial spatial = Spatial.of(context, x.shape());
    int n = spatial.axes();
    long groups = depthwise ? 1 : spatial.channels() / w.size(n);
    if (groups == 1) {
      call(context, k, spatial, depthwise, x, w, g, dx, dw);
      return;
    }
    long in = w.size(n);
    long out = w.size(n + 1) / groups;
    int axis = spatial.channelAxis();
    for (long i = 0; i < groups; i++) {
      INDArray partX = copied(k, Views.range(x, axis, i * in, in));
      INDArray partW = copied(k, Views.range(w, n + 1, i * out, out));
      INDArray partDx = k.scratchLike(partX);
      INDArray partDw = k.scratchLike(partW);
      call(context, k, spatial, false, partX, partW, copied(k, Views.range(g, axis, i * out, out)), partDx, partDw);
      k.copy(partDx, Views.range(dx, axis, i * in, in)).copy(partDw, Views.range(dw, n + 1, i * out, out));
    }
  }

  private static INDArray copied(Kernel k, INDArray view) {
    INDArray copy = k.scratchLike(view);
    k.copy(view, copy);
    return copy;
  }

  private static void call(
      OpContext context, Kernel k, Spatial spatial, boolean depthwise, INDArray x, INDArray w, INDArray g, INDArray dx, INDArray dw) {
    long[] dilation = spatial.perAxis(context, "dilation_rate");
    long[] window = Arrays.copyOf(w.shape(), spatial.axes());
    long[] arguments = spatial.arguments(window, spatial.perAxis(context, "strides"), dilation);
    String name = depthwise ? "depthwise_conv2d_bp" : spatial.axes() == 3 ? "conv3dnew_bp" : "conv2d_bp";
    k.op(name)
        .in(spatial.wide(x), spatial.wideKernel(w), spatial.wide(g))
        .out(spatial.wide(dx), spatial.wideKernel(dw))
        .ints(Shapes.concat(arguments, new long[] {spatial.formatFlag(), 0}))
        .plain(Spatial.dilated(dilation))
        .add();
  }

  private static Step pool(OpContext context, String name) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    Spatial spatial = Spatial.of(context);
    long[] window = spatial.perAxis(context, "pool_size");
    long[] strides = context.attrs().has("strides") ? spatial.perAxis(context, "strides") : window;
    INDArray z = context.allocate(0, x.shape());
    return k.op(name + (spatial.axes() == 3 ? "3dnew" : "2d") + "_bp")
        .in(spatial.wide(x), spatial.wide(context.input(1)))
        .out(spatial.wide(z))
        .ints(Shapes.concat(spatial.arguments(window, strides, Shapes.ones(spatial.axes())), new long[] {0, spatial.formatFlag()}))
        .add()
        .step();
  }
}
