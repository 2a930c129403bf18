package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.comparison.CompareAndReplace;
import org.nd4j.linalg.indexing.conditions.Conditions;

/** Gradients of activation functions that are one operation, which Keras has not. */
public final class ActivationGradients implements OpMappings {
  /** Makes the family; for the service loader. */
  public ActivationGradients() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("ReluGrad", ActivationGradients::relu);
    registry.op("SigmoidGrad", ActivationGradients::sigmoid);
    registry.op("TanhGrad", ActivationGradients::tanh);
  }

  /** {@code SigmoidGrad} of a gradient g and the output y of {@code Sigmoid}: {@code g * y * (1 - y)}. */
  private static Step sigmoid(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray y = context.input(1);
    INDArray z = context.allocate(0, y.shape());
    INDArray slope = k.scratchLike(y);
    k.binary("subtract", k.scalar(y.dataType(), 1), y, slope).binary("multiply", y, slope, slope);
    return k.binary("multiply", context.input(0), slope, z).step();
  }

  /** {@code TanhGrad} of a gradient g and the output y of {@code Tanh}: {@code g * (1 - y * y)}. */
  private static Step tanh(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray y = context.input(1);
    INDArray z = context.allocate(0, y.shape());
    INDArray slope = k.scratchLike(y);
    k.binary("multiply", y, y, slope).binary("subtract", k.scalar(y.dataType(), 1), slope, slope);
    return k.binary("multiply", context.input(0), slope, z).step();
  }

  /** {@code ReluGrad} of a gradient and the output of {@code Relu}: the gradient where that is positive, otherwise 0. */
  private static Step relu(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray g = context.input(0);
    INDArray z = context.allocate(0, g.shape());
    // NB: where the condition does not hold, the output of Relu is what is taken, and that is 0 there.
    return k.legacy(new CompareAndReplace(context.input(1), g, z, Conditions.greaterThan(0))).step();
  }
}
