package io.kbridge.plan.nd4j;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.floating.Sqrt;
import org.nd4j.linalg.api.ops.impl.transforms.same.Abs;

/** Norms and decompositions, of one matrix or of a batch. */
public final class LinearAlgebra implements OpMappings {
  /** Makes the family; for the service loader. */
  public LinearAlgebra() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Norm", LinearAlgebra::norm);
    registry.op("Det", LinearAlgebra::determinant);
    registry.op("Inv", context -> named(context, "matrix_inverse"));
    registry.op("Cholesky", LinearAlgebra::cholesky);
    registry.op("Solve", LinearAlgebra::solve);
    registry.op("SolveTriangular", LinearAlgebra::solveTriangular);
  }

  private static Step named(OpContext context, String name) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    return k.op(name).in(k.input(0, z.dataType())).out(z).add().step();
  }

  private static Step determinant(OpContext context) {
    Kernel k = new Kernel(context);
    long[] shape = context.input(0).shape();
    INDArray z = context.allocate(0, Arrays.copyOf(shape, shape.length - 2));
    return k.op("matrix_determinant").in(k.input(0, z.dataType())).out(z).add().step();
  }

  private static Step cholesky(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    INDArray x = k.input(0, z.dataType());
    if (!context.attrs().getBoolean("upper", false)) {
      return k.op("cholesky").in(x).out(z).add().step();
    }
    INDArray lower = k.scratchLike(z);
    int[] axes = Shapes.range(z.rank());
    axes[z.rank() - 1] = z.rank() - 2;
    axes[z.rank() - 2] = z.rank() - 1;
    return k.op("cholesky").in(x).out(lower).add().copy(Views.permute(lower, axes), z).step();
  }

  private static INDArray column(INDArray b, INDArray a) {
    return b.rank() == a.rank() - 1 ? Views.expand(b, b.rank()) : b;
  }

  private static Step solve(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(1).shape());
    INDArray a = k.input(0, z.dataType());
    return k.op("solve").in(a, column(k.input(1, z.dataType()), a)).out(column(z, a)).flags(false).add().step();
  }

  private static Step solveTriangular(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(1).shape());
    INDArray a = k.input(0, z.dataType());
    boolean lower = context.attrs().getBoolean("lower", false);
    return k.op("triangular_solve").in(a, column(k.input(1, z.dataType()), a)).out(column(z, a)).flags(lower, false).add().step();
  }

  /** {@code Norm}: vector norms of any order, and the Frobenius, 1 and infinity norms of matrices. */
  private static Step norm(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray given = context.input(0);
    JsonNode axis = context.attrs().json("axis");
    long[] axes = axis.isNull() ? all(given.rank()) : Normalizations.axes(context, "axis");
    JsonNode ord = context.attrs().json("ord");
    boolean matrix = axes.length == 2 && !ord.isNull();
    long[] shape = Shapes.reduce(given.shape(), axes, context.attrs().getBoolean("keepdims", false));
    INDArray z = context.allocate(0, shape);
    INDArray x = k.input(0, z.dataType());
    INDArray kept = Views.reshape(z, Shapes.reduce(x.shape(), axes, true));
    INDArray size = k.scratchLike(x);
    k.legacy(new Abs(x, size));
    double order = ord.isNull() || ord.isTextual() && ord.textValue().equals("fro") ? 2 : context.attrs().getDouble("ord");
    if (matrix && !(ord.isTextual() && ord.textValue().equals("fro"))) {
      return matrix(context, k, size, kept, order).step();
    }
    if (Double.isInfinite(order)) {
      Reductions.extremum(k, order > 0 ? "reduce_max" : "reduce_min", size, kept, axes);
    } else if (order == 0) {
      INDArray some = k.as(size, DataType.BOOL);
      Reductions.add(k, "reduce_sum", k.as(some, z.dataType()), kept, axes);
    } else {
      power(k, size, kept, order, axes);
    }
    return k.step();
  }

  private static void power(Kernel k, INDArray size, INDArray z, double order, long... axes) {
    if (order == 2) {
      Reductions.add(k.binary("multiply", size, size, size), "reduce_sum", size, z, axes);
      k.legacy(new Sqrt(z, z));
      return;
    }
    if (order != 1) {
      k.binary("Pow", size, order, size);
    }
    Reductions.add(k, "reduce_sum", size, z, axes);
    if (order != 1) {
      k.binary("Pow", z, 1 / order, z);
    }
  }

  /** The largest or smallest sum of rows or columns. The order of the two axes matters, so they are read as given. */
  private static Kernel matrix(OpContext context, Kernel k, INDArray size, INDArray z, double order) {
    if (Math.abs(order) != 1 && !Double.isInfinite(order)) {
      throw k.unsupported("matrix norms of order 1, -1, inf, -inf or fro", order);
    }
    long[] given = context.attrs().has("axis") ? context.attrs().getLongs("axis") : all(size.rank());
    long summed = Math.abs(order) == 1 ? given[0] : given[1];
    long rest = Math.abs(order) == 1 ? given[1] : given[0];
    INDArray sums = k.scratch(size.dataType(), Shapes.replace(size.shape(), (int) summed, 1));
    k.reduce("reduce_sum", size, sums, summed);
    Reductions.extremum(k, order > 0 ? "reduce_max" : "reduce_min", sums, z, rest);
    return k;
  }

  private static long[] all(int rank) {
    return Arrays.stream(Shapes.range(rank)).asLongStream().toArray();
  }
}
