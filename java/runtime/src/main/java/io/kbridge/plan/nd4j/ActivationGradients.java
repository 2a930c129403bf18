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
