package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.reduce.same.Prod;
import org.nd4j.linalg.api.ops.impl.transforms.bool.IsFinite;
import org.nd4j.linalg.api.ops.impl.transforms.bool.IsNaN;
import org.nd4j.linalg.api.ops.impl.transforms.floating.Sqrt;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Exp;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Log;

/**
 * Reductions over axes. They are always computed with the reduced axes kept as size 1, into memory that is then seen without them.
 * Axes are never negative here: with negative ones ND4J gives wrong numbers.
 */
public final class Reductions implements OpMappings {
  /** Makes the family; for the service loader. */
  public Reductions() {}

  /** Adds the calls that reduce x to z. */
  @FunctionalInterface
  private interface Formula {
    void add(Kernel k, INDArray x, INDArray z, long[] axes);
  }

  @Override
  public void register(OpRegistry registry) {
    registry.op("Sum", over((k, x, z, axes) -> add(k, "reduce_sum", x, z, axes)));
    registry.op("Mean", over(Reductions::mean));
    registry.op("Prod", over(Reductions::product));
    registry.op("Var", over(Reductions::variance));
    registry.op("Std", over(Reductions::deviation));
    for (String max : new String[] {"Max", "Amax"}) {
      registry.op(max, context -> extremum(context, "reduce_max", "maximum"));
    }
    for (String min : new String[] {"Min", "Amin"}) {
      registry.op(min, context -> extremum(context, "reduce_min", "minimum"));
    }
    registry.op("Any", context -> truth(context, "reduce_max"));
    registry.op("All", context -> truth(context, "reduce_min"));
    registry.op("CountNonzero", Reductions::countNonzero);
    registry.op("Logsumexp", over(Reductions::logSumExp));
    registry.op("Argmax", context -> position(context, "argmax"));
    registry.op("Argmin", context -> position(context, "argmin"));
  }

  private static OpMapping over(Formula formula) {
    return context -> {
      Kernel k = new Kernel(context);
      long[] axes = context.attrs().getLongs("axis");
      INDArray z = allocate(context, axes);
      INDArray x = k.input(0, z.dataType());
      formula.add(k, x, Views.reshape(z, Shapes.reduce(x.shape(), axes, true)), axes);
      return k.step();
    };
  }

  private static INDArray allocate(OpContext context, long... axes) {
    boolean keep = context.attrs().getBoolean("keepdims", false);
    return context.allocate(0, Shapes.reduce(context.input(0).shape(), axes, keep));
  }

  /**
   * Adds a reduction. None over no axes, which ND4J would take for all of them; one over nothing gives the neutral element.
   *
   * @param k takes the calls
   * @param name ND4J's name
   * @param x what is reduced
   * @param z the result, the reduced axes kept
   * @param axes the axes
   * @return k
   */
  static Kernel add(Kernel k, String name, INDArray x, INDArray z, long... axes) {
    if (axes.length == 0) {
      return k.copy(x, z);
    }
    if (x.length() == 0) {
      return k.fill(z, neutral(name));
    }
    return k.reduce(name, x, z, axes);
  }

  private static double neutral(String name) {
    switch (name) {
      case "reduce_sum":
        return 0;
      case "reduce_prod":
        return 1;
      case "reduce_max":
        return Double.NEGATIVE_INFINITY;
      case "reduce_min":
        return Double.POSITIVE_INFINITY;
      default:
        return Double.NaN;
    }
  }

  /** {@code Mean}; half precision is summed in float32, where it does not overflow. */
  private static void mean(Kernel k, INDArray x, INDArray z, long... axes) {
    inFloat(k, x, z, (kernel, wide, result, a) -> add(kernel, "reduce_mean", wide, result, a), axes);
  }

  /** {@code Prod}: ND4J's {@code reduce_prod} refuses integers, its typed {@code Prod} takes them. */
  private static void product(Kernel k, INDArray x, INDArray z, long... axes) {
    if (x.dataType().isFPType() || axes.length == 0 || x.length() == 0) {
      add(k, "reduce_prod", x, z, axes);
    } else {
      k.legacy(new Prod(x, z, true, Arrays.stream(axes).mapToInt(a -> (int) a).toArray()));
    }
  }

  private static void inFloat(Kernel k, INDArray x, INDArray z, Formula formula, long... axes) {
    if (x.dataType() != DataType.FLOAT16 && x.dataType() != DataType.BFLOAT16) {
      formula.add(k, x, z, axes);
      return;
    }
    INDArray result = k.scratch(DataType.FLOAT, z.shape());
    formula.add(k, k.as(x, DataType.FLOAT), result, axes);
    k.cast(result, z);
  }

  private static void variance(Kernel k, INDArray x, INDArray z, long... axes) {
    inFloat(
        k,
        x,
        z,
        (kernel, wide, result, a) ->
            Normalizations.variance(kernel, wide, kernel.scratchLike(result), kernel.scratchLike(wide), result, a),
        axes);
  }

  private static void deviation(Kernel k, INDArray x, INDArray z, long... axes) {
    variance(k, x, z, axes);
    k.legacy(new Sqrt(z, z));
  }

  /** {@code Max}, {@code Min}: ND4J's drop NaN, so a NaN met anywhere on the axes is put back. */
  private static Step extremum(OpContext context, String reduction, String pairwise) {
    Kernel k = new Kernel(context);
    long[] axes = context.attrs().getLongs("axis");
    INDArray x = context.input(0);
    INDArray z = Views.reshape(allocate(context, axes), Shapes.reduce(x.shape(), axes, true));
    if (x.dataType() == DataType.BOOL) {
      INDArray small = k.scratch(DataType.INT32, z.shape());
      return add(k, reduction, k.as(x, DataType.INT32), small, axes).cast(small, z).step();
    }
    extremum(k, reduction, x, z, axes);
    if (context.attrs().has("initial")) {
      k.binary(pairwise, z, context.attrs().getDouble("initial"), z);
    }
    return k.step();
  }

  static void extremum(Kernel k, String reduction, INDArray x, INDArray z, long... axes) {
    add(k, reduction, x, z, axes);
    if (!x.dataType().isFPType() || axes.length == 0 || x.length() == 0) {
      return;
    }
    INDArray nan = k.scratch(DataType.BOOL, x.shape());
    INDArray count = k.scratch(x.dataType(), z.shape());
    k.legacy(new IsNaN(x, nan));
    add(k, "reduce_max", k.as(nan, x.dataType()), count, axes);
    INDArray any = k.scratch(DataType.BOOL, z.shape());
    k.binary("greater", count, 0, any);
    Choice.where(k, any, k.scalar(z.dataType(), Double.NaN), z, z);
  }

  /** {@code Any}, {@code All}: the largest or smallest of zeros and ones. */
  private static Step truth(OpContext context, String reduction) {
    Kernel k = new Kernel(context);
    long[] axes = context.attrs().getLongs("axis");
    INDArray z = allocate(context, axes);
    INDArray ones = k.as(k.input(0, DataType.BOOL), DataType.INT32);
    INDArray found = k.scratch(DataType.INT32, Shapes.reduce(ones.shape(), axes, true));
    add(k, reduction, ones, found, axes);
    if (ones.length() == 0) {
      return k.fill(z, reduction.equals("reduce_min") ? 1 : 0).step();
    }
    return k.cast(Views.reshape(found, z.shape()), z).step();
  }

  private static Step countNonzero(OpContext context) {
    Kernel k = new Kernel(context);
    long[] axes = context.attrs().getLongs("axis");
    INDArray z = allocate(context, axes);
    INDArray ones = k.as(k.input(0, DataType.BOOL), z.dataType());
    INDArray kept = Views.reshape(z, Shapes.reduce(ones.shape(), axes, true));
    return add(k, "reduce_sum", ones, kept, axes).step();
  }

  /** {@code Logsumexp}, shifted by the maximum where that is finite; ND4J's overflows. */
  private static void logSumExp(Kernel k, INDArray x, INDArray z, long... axes) {
    INDArray most = k.scratchLike(z);
    INDArray shift = k.scratchLike(z);
    INDArray finite = k.scratch(DataType.BOOL, z.shape());
    INDArray power = k.scratchLike(x);
    INDArray sum = k.scratchLike(z);
    add(k, "reduce_max", x, most, axes);
    k.legacy(new IsFinite(most, finite));
    Choice.where(k, finite, most, k.scalar(z.dataType(), 0), shift);
    k.binary("subtract", x, shift, power).legacy(new Exp(power, power));
    add(k, "reduce_sum", power, sum, axes);
    k.legacy(new Log(sum, sum)).binary("add", sum, shift, z);
  }

  /** {@code Argmax}, {@code Argmin} on one axis: the first of equal values, as in Keras. */
  private static Step position(OpContext context, String name) {
    Kernel k = new Kernel(context);
    long axis = context.attrs().getLong("axis");
    INDArray x = context.input(0);
    INDArray z = allocate(context, axis);
    INDArray kept = Views.reshape(z, Shapes.reduce(x.shape(), new long[] {axis}, true));
    INDArray values = x.dataType() == DataType.BOOL ? k.as(x, DataType.INT32) : x;
    return k.reduce(name, values, kept, axis).step();
  }
}
