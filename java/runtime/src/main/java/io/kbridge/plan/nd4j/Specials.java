package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.stream.LongStream;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.bool.IsNaN;
import org.nd4j.linalg.api.ops.impl.transforms.floating.Sqrt;
import org.nd4j.linalg.api.ops.impl.transforms.same.Abs;
import org.nd4j.linalg.api.ops.impl.transforms.same.Negative;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Log;
import org.nd4j.linalg.factory.Nd4j;

/** What ND4J has nothing for: composed of the operations of other families. */
public final class Specials implements OpMappings {
  // M. Giles, "Approximating the erfinv function" (2010), single precision: for w below 5, and for sqrt(w) from there on.
  private static final double[] CENTRE = {
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164,
    0.246640727, 1.50140941
  };
  private static final double[] TAIL = {
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047,
    1.00167406, 2.83297682
  };

  /** Makes the family; for the service loader. */
  public Specials() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Sparsemax", Specials::sparsemax);
    registry.op("Erfinv", Elementwise.map(Specials::erfinv));
    registry.op("Isclose", Specials::isclose);
    registry.op("Select", Specials::select);
    registry.op("Diff", Specials::diff);
    registry.op("PSNR", Specials::psnr);
  }

  /** {@code Sparsemax} as Keras computes it: a threshold from the sorted row. */
  private static Step sparsemax(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    int axis = context.attrs().getInt("axis");
    INDArray z = context.allocate(0, x.shape());
    INDArray rising = k.scratchLike(x);
    Ordering.sorted(k, x, rising, axis, false);
    INDArray sorted = k.scratchLike(x);
    INDArray sums = k.scratchLike(x);
    INDArray t = k.scratchLike(x);
    Layouts.flip(k, rising, sorted, axis);
    k.op("cumsum").in(sorted).out(sums).ints(0, 0, axis).add();
    long[] along = Shapes.replace(Shapes.ones(x.rank()), axis, x.size(axis));
    INDArray numbers = Nd4j.createFromArray(LongStream.rangeClosed(1, x.size(axis)).toArray()).castTo(x.dataType());
    INDArray support = k.scratch(DataType.BOOL, x.shape());
    k.binary("subtract", sums, 1, t).binary("divide", t, Views.reshape(numbers, along), t);
    k.binary("subtract", sorted, t, t).binary("greater", t, 0, support);
    INDArray one = k.scratch(x.dataType(), Shapes.replace(x.shape(), axis, 1));
    INDArray count = k.scratchLike(one);
    INDArray safe = k.scratchLike(x);
    Choice.where(k, support, sums, k.scalar(x.dataType(), 0), safe);
    k.reduce("reduce_sum", safe, one, axis).reduce("reduce_sum", k.as(support, x.dataType()), count, axis);
    k.binary("subtract", one, 1, one).binary("divide", one, count, one);
    return k.binary("subtract", x, one, t).binary("maximum", t, 0, z).step();
  }

  /** {@code Erfinv} by Giles's polynomials, evaluated in float64; infinite at -1 and 1, NaN beyond. */
  private static void erfinv(Kernel k, INDArray x, INDArray z) {
    INDArray wide = k.as(x, DataType.DOUBLE);
    INDArray w = k.scratchLike(wide);
    INDArray t = k.scratchLike(wide);
    INDArray centre = k.scratchLike(wide);
    INDArray tail = k.scratchLike(wide);
    INDArray one = k.scalar(DataType.DOUBLE, 1);
    k.binary("subtract", one, wide, w).binary("add", wide, 1, t).binary("multiply", w, t, w);
    k.legacy(new Log(w, w)).legacy(new Negative(w, w));
    INDArray shifted = k.scratchLike(wide);
    k.binary("subtract", w, 2.5, shifted);
    polynomial(k, shifted, centre, CENTRE);
    k.binary("maximum", w, 0, t).legacy(new Sqrt(t, t)).binary("subtract", t, 3, shifted);
    polynomial(k, shifted, tail, TAIL);
    INDArray far = k.scratch(DataType.BOOL, wide.shape());
    k.binary("greater_equal", w, 5, far);
    Choice.where(k, far, tail, centre, t);
    k.binary("multiply", t, wide, t);
    // At the ends the polynomial is infinity minus infinity.
    INDArray size = k.scratchLike(wide);
    INDArray end = k.scratch(DataType.BOOL, wide.shape());
    INDArray infinite = k.scratchLike(wide);
    k.legacy(new Abs(wide, size)).binary("equals", size, 1, end);
    k.binary("multiply", wide, Double.POSITIVE_INFINITY, infinite);
    Choice.where(k, end, infinite, t, t);
    if (z.dataType() == DataType.DOUBLE) {
      k.copy(t, z);
    } else {
      k.cast(t, z);
    }
  }

  private static void polynomial(Kernel k, INDArray x, INDArray z, double... coefficients) {
    k.fill(z, coefficients[0]);
    for (int i = 1; i < coefficients.length; i++) {
      k.binary("multiply", z, x, z).binary("add", z, coefficients[i], z);
    }
  }

  /** {@code Isclose}: {@code |x - y| <= atol + rtol * |y|}; integers have to be equal. */
  private static Step isclose(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    INDArray y = context.input(1);
    INDArray z = context.allocate(0, Shapes.broadcast(x.shape(), y.shape()));
    if (!x.dataType().isFPType()) {
      return k.binary("equals", k.as(x, DataType.INT64), k.as(y, DataType.INT64), z).step();
    }
    INDArray bound = k.scratchLike(y);
    INDArray distance = k.scratch(x.dataType(), z.shape());
    k.legacy(new Abs(y, bound)).binary("multiply", bound, context.attrs().getDouble("rtol", 1e-5), bound);
    k.binary("add", bound, context.attrs().getDouble("atol", 1e-8), bound);
    k.binary("subtract", x, y, distance).legacy(new Abs(distance, distance));
    k.binary("less_equal", distance, bound, z);
    if (context.attrs().getBoolean("equal_nan", false)) {
      INDArray both = k.scratch(DataType.BOOL, z.shape());
      INDArray first = k.scratch(DataType.BOOL, x.shape());
      INDArray second = k.scratch(DataType.BOOL, y.shape());
      k.legacy(new IsNaN(x, first)).legacy(new IsNaN(y, second));
      k.binary("boolean_and", Choice.expanded(k, first, z), Choice.expanded(k, second, z), both);
      k.binary("boolean_or", z, both, z);
    }
    return k.step();
  }

  /** {@code Select}: the first condition that holds chooses; the conditions come first, then as many choices, then the default. */
  private static Step select(OpContext context) {
    Kernel k = new Kernel(context);
    int n = (context.inputCount() - 1) / 2;
    long[][] shapes = new long[context.inputCount()][];
    for (int i = 0; i < shapes.length; i++) {
      shapes[i] = context.input(i).shape();
    }
    INDArray z = context.allocate(0, Shapes.broadcast(shapes));
    INDArray found = k.input(2 * n, z.dataType());
    for (int i = n - 1; i >= 0; i--) {
      INDArray next = i == 0 ? z : k.scratchLike(z);
      Choice.where(k, k.input(i, DataType.BOOL), k.input(n + i, z.dataType()), found, next);
      found = next;
    }
    return k.step();
  }

  private static Step diff(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    int axis = context.attrs().getInt("axis");
    long n = context.attrs().getLong("n", 1);
    INDArray z = context.allocate(0, Shapes.replace(x.shape(), axis, Math.max(0, x.size(axis) - n)));
    for (long i = 1; i <= n; i++) {
      long left = Math.max(0, x.size(axis) - 1);
      INDArray next = i == n ? z : k.scratch(x.dataType(), Shapes.replace(x.shape(), axis, left));
      String op = x.dataType() == DataType.BOOL ? "boolean_xor" : "subtract";
      k.binary(op, Views.range(x, axis, Math.min(1, x.size(axis)), left), Views.range(x, axis, 0, left), next);
      x = next;
    }
    return (n == 0 ? k.copy(x, z) : k).step();
  }

  /** {@code PSNR}: {@code 20 log10(max) - 10 log10(mean squared error)}. */
  private static Step psnr(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0);
    INDArray x = k.input(0, z.dataType());
    INDArray d = k.scratchLike(x);
    k.binary("subtract", x, k.input(1, z.dataType()), d).binary("multiply", d, d, d);
    long[] axes = LongStream.range(0, x.rank()).toArray();
    INDArray mean = k.scratch(z.dataType(), Shapes.ones(x.rank()));
    Reductions.add(k, "reduce_mean", d, mean, axes).legacy(new Log(mean, mean));
    k.binary("multiply", mean, -10 / Math.log(10), mean);
    return k.binary("add", Views.reshape(mean), 20 * Math.log10(context.attrs().getDouble("max_val")), z).step();
  }
}
