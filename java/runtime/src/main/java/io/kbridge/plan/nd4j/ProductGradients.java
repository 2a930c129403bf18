package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Operations that gradients of products need and Keras has not. */
public final class ProductGradients implements OpMappings {
  /** Makes the family; for the service loader. */
  public ProductGradients() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("TransposedMatmul", ProductGradients::transposedMatmul);
  }

  /** {@code TransposedMatmul}: {@code Matmul} of operands whose last two axes are exchanged first; of the same rank, at least 2. */
  private static Step transposedMatmul(OpContext context) {
    Kernel k = new Kernel(context);
    boolean first = context.attrs().getBoolean("transpose_x1");
    boolean second = context.attrs().getBoolean("transpose_x2");
    INDArray x = context.input(0);
    INDArray y = context.input(1);
    int rank = x.rank();
    long[] shape = x.shape().clone();
    shape[rank - 2] = x.size(first ? rank - 1 : rank - 2);
    shape[rank - 1] = y.size(second ? rank - 2 : rank - 1);
    INDArray output = context.allocate(0, shape);
    DataType type = Kernel.precise(output.dataType());
    INDArray z = k.computed(output, type);
    if (x.size(first ? rank - 2 : rank - 1) == 0) {
      return k.fill(output, 0).step();
    }
    k.op("matmul").in(k.as(x, type), k.as(y, type)).out(z).ints(first ? 1 : 0, second ? 1 : 0, 0).add();
    return k.round(z, output).step();
  }
}
