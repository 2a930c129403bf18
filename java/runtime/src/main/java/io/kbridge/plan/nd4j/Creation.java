package io.kbridge.plan.nd4j;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.function.IntToDoubleFunction;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Arrays made from sizes and numbers, and triangles and diagonals of arrays. */
public final class Creation implements OpMappings {
  /** Makes the family; for the service loader. */
  public Creation() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Full", Creation::full);
    registry.op("Arange", Creation::arange);
    registry.op("Linspace", Creation::linspace);
    registry.op("Eye", context -> band(context, true));
    registry.op("Tri", context -> band(context, false));
    registry.op("Tril", context -> triangle(context, true));
    registry.op("Triu", context -> triangle(context, false));
    registry.op("Diag", Creation::diag);
    registry.op("Diagonal", Creation::diagonal);
    registry.op("Trace", Creation::trace);
    registry.op("Meshgrid", Creation::meshgrid);
  }

  /** {@code Full}: a scalar spread over a shape. Zeros, ones and the like arrive as this op. */
  private static Step full(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.dims("shape"));
    return k.broadcast(k.input(0, z.dataType()), z).step();
  }

  private static double number(OpContext context, String name) {
    JsonNode value = context.attrs().json(name);
    return value.isObject() ? context.dim(name) : context.attrs().getDouble(name);
  }

  private static Step arange(OpContext context) {
    double start = number(context, "start");
    double step = number(context, "step");
    double count = Math.ceil((number(context, "stop") - start) / step);
    return listed(context, (int) Math.max(0, count), i -> start + i * step);
  }

  /** {@code Linspace} between numbers. */
  private static Step linspace(OpContext context) {
    int n = (int) context.dim("num");
    boolean whole = context.attrs().getBoolean("endpoint", true);
    if (context.inputCount() > 0 || context.attrs().getBoolean("retstep", false)) {
      throw Kernel.unsupported(context, "linspace between numbers, without the step", "tensors or retstep=True");
    }
    double start = number(context, "start");
    double stop = number(context, "stop");
    double step = (stop - start) / (whole ? Math.max(1, n - 1) : n);
    return listed(context, n, i -> whole && i == n - 1 && i > 0 ? stop : start + i * step);
  }

  private static Step listed(OpContext context, int n, IntToDoubleFunction value) {
    INDArray z = context.allocate(0, n);
    double[] values = new double[n];
    for (int i = 0; i < n; i++) {
      values[i] = value.applyAsDouble(i);
    }
    return values(context, values, z);
  }

  private static Step values(OpContext context, double[] values, INDArray z) {
    Kernel k = new Kernel(context);
    if (values.length == 0) {
      return k.step();
    }
    INDArray source = Nd4j.createFromArray(values).castTo(z.dataType());
    return k.copy(Views.reshape(source, z.shape()), z).step();
  }

  /** {@code Eye}: ones on the k-th diagonal; {@code Tri}: also below it. */
  private static Step band(OpContext context, boolean diagonalOnly) {
    int rows = (int) context.dim("N");
    int columns = (int) context.dim("M");
    long shift = context.attrs().getLong("k", 0);
    INDArray z = context.allocate(0, rows, columns);
    double[] values = new double[rows * columns];
    for (int i = 0; i < values.length; i++) {
      long distance = i % columns - i / columns - shift;
      values[i] = distance == 0 || (!diagonalOnly && distance < 0) ? 1 : 0;
    }
    return values(context, values, z);
  }

  /** {@code Tril}, {@code Triu}: chosen by a constant mask, so that what is cut may be NaN or infinite. */
  private static Step triangle(OpContext context, boolean lower) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    INDArray z = context.allocate(0, x.shape());
    long shift = context.attrs().getLong("k", 0);
    int rows = (int) x.size(x.rank() - 2);
    int columns = (int) x.size(x.rank() - 1);
    boolean[] kept = new boolean[rows * columns];
    for (int i = 0; i < kept.length; i++) {
      long distance = i % columns - i / columns - shift;
      kept[i] = lower ? distance <= 0 : distance >= 0;
    }
    if (kept.length == 0) {
      return k.step();
    }
    INDArray mask = Views.reshape(Nd4j.createFromArray(kept), rows, columns);
    Choice.where(k, mask, x, k.scalar(x.dataType(), 0), z);
    return k.step();
  }

  private static INDArray diagonalOf(INDArray x, long offset, int first, int second) {
    long rows = x.size(first) + Math.min(0, offset);
    long columns = x.size(second) - Math.max(0, offset);
    long start = x.offset() + Math.max(0, offset) * x.stride(second) + Math.max(0, -offset) * x.stride(first);
    int low = Math.min(first, second);
    int high = Math.max(first, second);
    long[] shape = Shapes.remove(Shapes.remove(x.shape(), high), low);
    long[] strides = Shapes.remove(Shapes.remove(x.stride(), high), low);
    shape = Shapes.insert(shape, shape.length, Math.max(0, Math.min(rows, columns)));
    strides = Shapes.insert(strides, strides.length, x.stride(first) + x.stride(second));
    return Views.view(x, start, shape, strides);
  }

  private static int axis(OpContext context, String name, int otherwise) {
    int axis = context.attrs().getInt(name, otherwise);
    return axis < 0 ? axis + context.input(0).rank() : axis;
  }

  private static Step diagonal(OpContext context) {
    INDArray x = context.input(0);
    long offset = context.attrs().getLong("offset", 0);
    INDArray view = diagonalOf(x, offset, axis(context, "axis1", 0), axis(context, "axis2", 1));
    return new Kernel(context).copy(view, context.allocate(0, view.shape())).step();
  }

  private static Step trace(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    long offset = context.attrs().getLong("offset", 0);
    INDArray view = diagonalOf(x, offset, axis(context, "axis1", 0), axis(context, "axis2", 1));
    INDArray z = context.allocate(0, Shapes.remove(view.shape(), view.rank() - 1));
    INDArray copy = k.scratchLike(view);
    k.copy(view, copy);
    INDArray sum = k.as(copy, z.dataType());
    INDArray kept = Views.reshape(z, Shapes.replace(view.shape(), view.rank() - 1, 1));
    return Reductions.add(k, "reduce_sum", sum, kept, view.rank() - 1).step();
  }

  /** {@code Diag}: the k-th diagonal of a matrix, or a matrix with a vector on it. */
  private static Step diag(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    long offset = context.attrs().getLong("k", 0);
    if (x.rank() == 2) {
      INDArray view = diagonalOf(x, offset, 0, 1);
      return k.copy(view, context.allocate(0, view.shape())).step();
    }
    long n = x.length() + Math.abs(offset);
    INDArray z = context.allocate(0, n, n);
    return k.fill(z, 0).copy(x, diagonalOf(z, offset, 0, 1)).step();
  }

  private static Step meshgrid(OpContext context) {
    Kernel k = new Kernel(context);
    int n = context.inputCount();
    boolean swapped = context.attrs().getString("indexing", "xy").equals("xy") && n > 1;
    long[] shape = new long[n];
    for (int i = 0; i < n; i++) {
      shape[swapped && i < 2 ? 1 - i : i] = context.input(i).length();
    }
    for (int i = 0; i < n; i++) {
      int axis = swapped && i < 2 ? 1 - i : i;
      long[] along = Shapes.replace(Shapes.ones(n), axis, shape[axis]);
      k.broadcast(Views.reshape(context.input(i), along), context.allocate(i, shape));
    }
    return k.step();
  }}
