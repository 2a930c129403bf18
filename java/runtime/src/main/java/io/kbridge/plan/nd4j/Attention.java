package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Scaled dot-product attention. */
public final class Attention implements OpMappings {
  private static final int BIAS = 3;
  private static final int MASK = 4;
  private static final int SCALE = 5;

  /** Makes the family; for the service loader. */
  public Attention() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("DotProductAttention", Attention::attention);
  }

  /**
   * {@code DotProductAttention} of {@code [batch, length, heads, size]} arrays: by matmul and softmax, the logits in float32 at least.
   * Fewer key heads than query heads are repeated. Masked logits become Keras's large negative number, not -inf, so a row that is
   * masked as a whole gives the mean of the values, as in Keras.
   */
  private static Step attention(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray query = context.input(0);
    DataType type = context.outputType(0);
    long batch = query.size(0);
    long targets = query.size(1);
    long heads = query.size(2);
    long sources = context.input(1).size(1);
    INDArray z = context.allocate(0, batch, targets, heads, context.input(2).size(3));
    INDArray q = cubes(k, k.as(query, type), heads, 0, 2, 1, 3);
    INDArray keys = cubes(k, k.input(1, type), heads, 0, 2, 3, 1);
    INDArray values = cubes(k, k.input(2, type), heads, 0, 2, 1, 3);
    INDArray product = k.scratch(type, batch * heads, targets, sources);
    Contraction.matmul(k, q, keys, product);
    DataType wide = type == DataType.FLOAT16 || type == DataType.BFLOAT16 ? DataType.FLOAT : type;
    INDArray logits = Views.reshape(k.as(product, wide), batch, heads, targets, sources);
    if (context.hasInput(SCALE)) {
      k.binary("multiply", logits, k.input(SCALE, wide), logits);
    } else {
      k.binary("multiply", logits, 1 / Math.sqrt(context.input(1).size(3)), logits);
    }
    if (context.hasInput(BIAS)) {
      k.binary("add", logits, k.input(BIAS, wide), logits);
    }
    mask(context, k, logits);
    INDArray weights = k.scratchLike(logits);
    Activations.softmax(k, logits, weights, 3);
    INDArray result = k.scratch(type, batch * heads, targets, values.size(2));
    Contraction.matmul(k, Views.reshape(k.as(weights, type), batch * heads, targets, sources), values, result);
    INDArray apart = Views.reshape(result, batch, heads, targets, values.size(2));
    return k.copy(Views.permute(apart, 0, 2, 1, 3), z).step();
  }

  private static void mask(OpContext context, Kernel k, INDArray logits) {
    INDArray large = k.scalar(logits.dataType(), -0.7 * 3.38953e38);
    if (context.hasInput(MASK)) {
      Choice.where(k, k.input(MASK, DataType.BOOL), logits, large, logits);
    }
    if (context.attrs().getBoolean("is_causal", false)) {
      int targets = (int) logits.size(2);
      int sources = (int) logits.size(3);
      boolean[] seen = new boolean[targets * sources];
      for (int i = 0; i < seen.length; i++) {
        seen[i] = i % sources <= i / sources;
      }
      Choice.where(k, Views.reshape(Nd4j.createFromArray(seen), targets, sources), logits, large, logits);
    }
  }

  /** Copies {@code [batch, length, heads, size]} into {@code [batch * heads, ...]} with the axes in an order, heads repeated. */
  private static INDArray cubes(Kernel k, INDArray x, long heads, int... axes) {
    INDArray view = x;
    if (x.size(2) != heads) {
      long times = heads / x.size(2);
      INDArray all = k.scratch(x.dataType(), x.size(0), x.size(1), heads, x.size(3));
      long[] apart = {x.size(0), x.size(1), x.size(2), times, x.size(3)};
      k.broadcast(Views.expand(x, 3), Views.reshape(all, apart));
      view = all;
    }
    INDArray moved = Views.permute(view, axes);
    INDArray copy = k.scratchLike(moved);
    k.copy(moved, copy);
    return Views.reshape(copy, copy.size(0) * copy.size(1), copy.size(2), copy.size(3));
  }
}
