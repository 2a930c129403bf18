package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Poolings with a sliding window, and adaptive ones. */
public final class Pooling implements OpMappings {
  /** Makes the family; for the service loader. */
  public Pooling() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("MaxPool", context -> pool(context, "maxpool"));
    registry.op("AveragePool", context -> pool(context, "avgpool"));
    registry.op("AdaptiveMaxPool", context -> adaptive(context, "reduce_max"));
    registry.op("AdaptiveAveragePool", context -> adaptive(context, "reduce_mean"));
  }

  /**
   * {@code MaxPool}, {@code AveragePool}: ND4J's {@code maxpool2d}, {@code maxpool3dnew} and the average ones. The argument between
   * mode and data format is 0, which makes the average leave the padding out, as Keras does.
   */
  private static Step pool(OpContext context, String name) {
    Kernel kernel = new Kernel(context);
    Spatial spatial = Spatial.of(context);
    INDArray x = context.input(0);
    long[] window = spatial.perAxis(context, "pool_size");
    long[] strides = context.attrs().has("strides") ? spatial.perAxis(context, "strides") : window;
    long[] one = Shapes.ones(spatial.axes());
    INDArray z = context.allocate(0, spatial.shape(spatial.channels(), spatial.outputSizes(window, strides, one)));
    return kernel
        .op(name + (spatial.axes() == 3 ? "3dnew" : "2d"))
        .in(spatial.wide(x))
        .out(spatial.wide(z))
        .ints(Shapes.concat(spatial.arguments(window, strides, one), new long[] {0, spatial.formatFlag()}))
        .add()
        .step();
  }

  /**
   * {@code AdaptiveMaxPool}, {@code AdaptiveAveragePool}: axis after axis, each output position is a reduction over its window,
   * which goes from {@code floor(i * in / out)} to {@code ceil((i + 1) * in / out)}.
   */
  private static Step adaptive(OpContext context, String reduction) {
    Kernel kernel = new Kernel(context);
    Spatial spatial = Spatial.of(context);
    long[] sizes = spatial.perAxis(context, "output_size");
    INDArray z = context.allocate(0, spatial.shape(spatial.channels(), sizes));
    INDArray x = context.input(0);
    for (int i = 0; i < sizes.length; i++) {
      int axis = i + (spatial.channelsLast() ? 1 : 2);
      long in = x.size(axis);
      INDArray y =
          i == sizes.length - 1 ? z : kernel.scratch(z.dataType(), Shapes.replace(x.shape(), axis, sizes[i]));
      for (long k = 0; k < sizes[i]; k++) {
        long start = k * in / sizes[i];
        long end = ((k + 1) * in + sizes[i] - 1) / sizes[i];
        kernel.reduce(reduction, Views.range(x, axis, start, end - start), Views.range(y, axis, k, 1), axis);
      }
      x = y;
    }
    return kernel.step();
  }
}
