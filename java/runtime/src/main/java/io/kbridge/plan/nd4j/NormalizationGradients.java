package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.stream.LongStream;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.floating.RSqrt;

/** Gradients of normalisations that are one operation, which Keras has not. */
public final class NormalizationGradients implements OpMappings {
  /** Makes the family; for the service loader. */
  public NormalizationGradients() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("BatchNormGrad", NormalizationGradients::batchNorm);
  }

  /**
   * {@code BatchNormGrad}: x, its own mean and variance over all axes but one, the scale, and the gradient of x normalised with them, to the
   * gradients of x, scale and offset.
   */
  private static Step batchNorm(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    DataType type = x.dataType();
    int axis = context.attrs().getInt("axis");
    long channels = x.size(axis);
    long[] along = Shapes.replace(Shapes.ones(x.rank()), axis, channels);
    long[] others = LongStream.range(0, x.rank()).filter(i -> i != axis).toArray();
    double count = (double) x.length() / channels;
    INDArray g = context.input(4);
    INDArray z = context.allocate(0, x.shape());
    INDArray slope = Views.reshape(context.allocate(1, channels), along);
    INDArray sum = Views.reshape(context.allocate(2, channels), along);
    INDArray factor = k.scratch(type, along);
    k.binary("add", Views.reshape(context.input(2), along), context.attrs().getDouble("epsilon", 1e-3), factor).legacy(new RSqrt(factor, factor));
    INDArray normal = k.scratchLike(x);
    k.binary("subtract", x, Views.reshape(context.input(1), along), normal).binary("multiply", normal, factor, normal);
    INDArray product = k.scratchLike(x);
    k.binary("multiply", g, normal, product);
    Reductions.add(k, "reduce_sum", product, slope, others);
    Reductions.add(k, "reduce_sum", g, sum, others);
    // NB: what the mean and the variance take away from each element.
    INDArray share = k.scratch(type, along);
    k.binary("divide", slope, count, share).binary("multiply", normal, share, normal);
    k.binary("divide", sum, count, share).binary("add", normal, share, normal);
    k.binary("multiply", factor, Views.reshape(context.input(3), along), factor);
    return k.binary("subtract", g, normal, product).binary("multiply", product, factor, z).step();
  }
}
