package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.same.Negative;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Log;

/**
 * Cross-entropies and the loss of sequences, one number per sample or element. Composed of right operations: ND4J's loss operations reduce in
 * ways of their own.
 */
public final class Losses implements OpMappings {
  private static final double EPSILON = 1e-7;

  /** Makes the family; for the service loader. */
  public Losses() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("BinaryCrossentropy", Losses::binary);
    registry.op("CategoricalCrossentropy", Losses::categorical);
    registry.op("SparseCategoricalCrossentropy", Losses::sparse);
    registry.op("CTCLoss", Ctc::loss);
  }

  /** From logits {@code softplus(x) - x * target}; from probabilities the clipped form of Keras. */
  private static Step binary(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(1).shape());
    INDArray target = k.input(0, z.dataType());
    INDArray output = k.input(1, z.dataType());
    INDArray t = k.scratchLike(z);
    INDArray u = k.scratchLike(z);
    if (context.attrs().getBoolean("from_logits", false)) {
      Activations.softplus(k, output, t);
      return k.binary("multiply", output, target, u).binary("subtract", t, u, z).step();
    }
    INDArray p = k.scratchLike(z);
    INDArray one = k.scalar(z.dataType(), 1);
    Elementwise.clip(k, output, p, EPSILON, 1 - EPSILON);
    k.legacy(new Log(p, t)).binary("multiply", t, target, t);
    k.binary("subtract", one, p, p).legacy(new Log(p, p)).binary("subtract", one, target, u);
    return k.binary("multiply", p, u, u).binary("add", t, u, t).legacy(new Negative(t, z)).step();
  }

  private static Step categorical(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(1);
    int axis = context.attrs().getInt("axis");
    INDArray z = context.allocate(0, Shapes.remove(x.shape(), axis));
    INDArray output = k.input(1, z.dataType());
    INDArray logs = k.scratchLike(output);
    if (context.attrs().getBoolean("from_logits", false)) {
      Activations.logSoftmax(k, output, logs, axis);
    } else {
      INDArray sum = k.scratch(z.dataType(), Shapes.replace(x.shape(), axis, 1));
      INDArray p = k.scratchLike(output);
      k.reduce("reduce_sum", output, sum, axis).binary("divide", output, sum, p);
      Elementwise.clip(k, p, logs, EPSILON, 1 - EPSILON);
      k.legacy(new Log(logs, logs));
    }
    return weighted(k, k.input(0, z.dataType()), logs, z, axis).step();
  }

  private static Kernel weighted(Kernel k, INDArray weights, INDArray logs, INDArray z, int axis) {
    INDArray products = k.scratchLike(logs);
    INDArray sum = Views.reshape(z, Shapes.replace(logs.shape(), axis, 1));
    k.binary("multiply", weights, logs, products).reduce("reduce_sum", products, sum, axis);
    return k.legacy(new Negative(z, z));
  }

  /** The log-probability of the class each target names, by one-hot choice, so that a -inf of another class leaves no trace. */
  private static Step sparse(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(1);
    int axis = x.rank() - 1;
    INDArray z = context.allocate(0, Shapes.remove(x.shape(), axis));
    INDArray output = k.input(1, z.dataType());
    INDArray logits = output;
    if (!context.attrs().getBoolean("from_logits", false)) {
      logits = k.scratchLike(output);
      Elementwise.clip(k, output, logits, EPSILON, 1 - EPSILON);
      k.legacy(new Log(logits, logits));
    }
    INDArray logs = k.scratchLike(output);
    Activations.logSoftmax(k, logits, logs, axis);
    INDArray hit = k.scratch(DataType.BOOL, x.shape());
    INDArray chosen = k.scratchLike(output);
    INDArray classes = Indexing.indices(context, k, Views.reshape(context.input(0), z.shape()), x.size(axis));
    Indexing.oneHot(k, classes, hit, axis);
    Choice.where(k, hit, logs, k.scalar(z.dataType(), 0), chosen);
    k.reduce("reduce_sum", chosen, Views.reshape(z, Shapes.replace(x.shape(), axis, 1)), axis);
    return k.legacy(new Negative(z, z)).step();
  }
}
