package io.kbridge.plan.nd4j;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Operations that move elements and compute nothing: other shapes, other orders, joining, splitting, repeating. */
public final class Layouts implements OpMappings {
  /** From how many bytes on pieces are copied one by one. */
  private static final long COPIED_BYTES = 64;

  /** Makes the family; for the service loader. */
  public Layouts() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Reshape", Layouts::reshape);
    registry.op("ExpandDims", Layouts::expandDims);
    registry.op("Squeeze", Layouts::squeeze);
    registry.op("Transpose", Layouts::transpose);
    registry.op("Concatenate", Layouts::concatenate);
    registry.op("Stack", Layouts::stack);
    registry.op("Unstack", Layouts::unstack);
    registry.op("Split", Layouts::split);
    registry.op("Tile", Layouts::tile);
    registry.op("Repeat", Layouts::repeat);
    registry.op("BroadcastTo", Layouts::broadcastTo);
    registry.op("Flip", Layouts::flip);
    registry.op("Roll", Layouts::roll);
  }

  private static Step view(OpContext context, long... shape) {
    context.alias(0, Views.reshape(context.input(0), shape));
    return null;
  }

  /** {@code Reshape}: a view. One size may be -1. */
  private static Step reshape(OpContext context) {
    long[] shape = context.dims("newshape");
    long known = 1;
    int open = -1;
    for (int i = 0; i < shape.length; i++) {
      if (shape[i] == -1) {
        open = i;
      } else {
        known *= shape[i];
      }
    }
    if (open >= 0) {
      shape[open] = known == 0 ? 0 : context.input(0).length() / known;
    }
    if (Shapes.size(shape) != context.input(0).length()) {
      throw context.attrs().wrong("newshape", "a shape of " + context.input(0).length() + " elements");
    }
    return view(context, shape);
  }

  private static Step expandDims(OpContext context) {
    long[] shape = context.input(0).shape();
    for (long axis : Normalizations.axes(context, "axis")) {
      shape = Shapes.insert(shape, (int) axis, 1);
    }
    return view(context, shape);
  }

  private static Step squeeze(OpContext context) {
    return view(context, Shapes.reduce(context.input(0).shape(), Normalizations.axes(context, "axis"), false));
  }

  /** {@code Transpose}: a copy of the permuted view; the view itself where only axes of size 1 have moved. */
  private static Step transpose(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray view = Views.permute(context.input(0), context.attrs().getInts("axes"));
    if (Contraction.isContiguous(view)) {
      return view(context, view.shape());
    }
    INDArray z = context.allocate(0, view.shape());
    return k.copy(view, z).step();
  }

  /** {@code Concatenate}: copies into parts of the output; ND4J's {@code concat} is no faster and refuses BOOL. */
  private static Step concatenate(OpContext context) {
    Kernel k = new Kernel(context);
    int axis = context.attrs().getInt("axis");
    long total = 0;
    for (int i = 0; i < context.inputCount(); i++) {
      total += context.input(i).size(axis);
    }
    INDArray z = context.allocate(0, Shapes.replace(context.input(0).shape(), axis, total));
    long at = 0;
    for (int i = 0; i < context.inputCount(); i++) {
      INDArray x = k.input(i, z.dataType());
      k.copy(x, Views.range(z, axis, at, x.size(axis)));
      at += x.size(axis);
    }
    return k.step();
  }

  private static Step stack(OpContext context) {
    Kernel k = new Kernel(context);
    int axis = context.attrs().getInt("axis");
    int n = context.inputCount();
    INDArray z = context.allocate(0, Shapes.insert(context.input(0).shape(), axis, n));
    for (int i = 0; i < n; i++) {
      k.copy(k.input(i, z.dataType()), Views.select(z, axis, i));
    }
    return k.step();
  }

  private static Step unstack(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    int axis = context.attrs().getInt("axis");
    for (int i = 0; i < context.node().outputs().size(); i++) {
      INDArray part = Views.select(x, axis, i);
      k.copy(part, context.allocate(i, part.shape()));
    }
    return k.step();
  }

  /** {@code Split}: into a number of equal parts, or at indices. */
  private static Step split(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    int axis = context.attrs().getInt("axis");
    int n = context.node().outputs().size();
    boolean at = context.attrs().json("indices_or_sections").isArray();
    long[] cuts = at ? context.dims("indices_or_sections") : new long[0];
    long size = x.size(axis);
    long start = 0;
    for (int i = 0; i < n; i++) {
      long end = at ? (i < cuts.length ? bound(cuts[i], size) : size) : (i + 1) * (size / n);
      INDArray part = Views.range(x, axis, start, Math.max(0, end - start));
      k.copy(part, context.allocate(i, part.shape()));
      start = end;
    }
    return k.step();
  }

  private static long bound(long index, long size) {
    return Math.max(0, Math.min(size, index < 0 ? index + size : index));
  }

  /** {@code Tile}: a copy of a view in which the whole repeats; ND4J's {@code tile} wants as many repeats as axes. */
  private static Step tile(OpContext context) {
    Kernel k = new Kernel(context);
    long[] repeats = context.dims("repeats");
    int rank = Math.max(repeats.length, context.input(0).rank());
    repeats = Shapes.concat(Shapes.ones(rank - repeats.length), repeats);
    long[] shape = Shapes.concat(Shapes.ones(rank - context.input(0).rank()), context.input(0).shape());
    long[] once = new long[2 * rank];
    long[] often = new long[2 * rank];
    long[] result = new long[rank];
    for (int i = 0; i < rank; i++) {
      once[2 * i] = 1;
      often[2 * i] = repeats[i];
      once[2 * i + 1] = shape[i];
      often[2 * i + 1] = shape[i];
      result[i] = shape[i] * repeats[i];
    }
    INDArray z = context.allocate(0, result);
    return k.broadcast(Views.reshape(context.input(0), once), Views.reshape(z, often)).step();
  }

  /**
   * {@code Repeat}: each element of an axis some times. By a view in which a new axis repeats, or index by index where the counts
   * differ; ND4J's {@code repeat} ends the process.
   */
  private static Step repeat(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    int axis = context.attrs().getInt("axis");
    JsonNode given = context.attrs().json("repeats");
    long[] counts = given.isArray() ? context.dims("repeats") : new long[] {context.dim("repeats")};
    if (counts.length == 1) {
      INDArray z = context.allocate(0, Shapes.replace(x.shape(), axis, x.size(axis) * counts[0]));
      long[] apart = Shapes.insert(x.shape(), axis + 1, counts[0]);
      return k.broadcast(Views.expand(x, axis + 1), Views.reshape(z, apart)).step();
    }
    INDArray z = context.allocate(0, Shapes.replace(x.shape(), axis, Arrays.stream(counts).sum()));
    long at = 0;
    for (int i = 0; i < counts.length; i++) {
      if (counts[i] > 0) {
        k.broadcast(Views.range(x, axis, i, 1), Views.range(z, axis, at, counts[i]));
      }
      at += counts[i];
    }
    return k.step();
  }

  private static Step broadcastTo(OpContext context) {
    Kernel k = new Kernel(context);
    long[] shape = context.dims("shape");
    int lead = shape.length - context.input(0).rank();
    for (int i = lead; i < shape.length; i++) {
      shape[i] = shape[i] == -1 ? context.input(0).size(i - lead) : shape[i];
    }
    return k.broadcast(context.input(0), context.allocate(0, shape)).step();
  }

  private static Step flip(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    INDArray z = context.allocate(0, x.shape());
    long[] axes = Normalizations.axes(context, "axis");
    if (axes.length == 1 && !x.isEmpty() && NativeArrays.inHostMemory() && NativeArrays.isDense(x)) {
      long bytes = Shapes.size(Arrays.copyOfRange(x.shape(), (int) axes[0] + 1, x.rank())) * x.dataType().width();
      if (bytes >= COPIED_BYTES) {
        Pointer from = NativeArrays.pointer(x);
        Pointer to = NativeArrays.pointer(z);
        return () -> flip(from, to, x.length() * x.dataType().width(), x.size((int) axes[0]), bytes);
      }
    }
    flip(k, x, z, axes);
    return k.step();
  }

  /** Copies piece by piece, each to its place in the other order: ND4J's {@code reverse} goes element by element. */
  private static void flip(Pointer from, Pointer to, long bytes, long size, long piece) {
    for (long at = 0; at < bytes; at += size * piece) {
      for (long i = 0; i < size; i++) {
        Pointer.memcpy(to.position(at + (size - 1 - i) * piece), from.position(at + i * piece), piece);
      }
    }
  }

  /** Adds ND4J's {@code reverse}. */
  static void flip(Kernel k, INDArray x, INDArray z, long... axes) {
    if (axes.length == 0) {
      k.copy(x, z);
    } else {
      k.op("reverse").in(x).out(z).ints(axes).add();
    }
  }

  /** {@code Roll}: two copies an axis; ND4J's {@code roll} is wrong for some shifts. */
  private static Step roll(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    INDArray z = context.allocate(0, x.shape());
    long[] axes = Normalizations.axes(context, "axis");
    boolean one = !context.attrs().json("shift").isArray();
    long[] shifts = one ? new long[axes.length] : context.dims("shift");
    if (one) {
      Arrays.fill(shifts, context.dim("shift"));
    }
    INDArray from = x;
    for (int i = 0; i < axes.length; i++) {
      INDArray to = i == axes.length - 1 ? z : k.scratchLike(x);
      roll(k, from, to, (int) axes[i], shifts[i]);
      from = to;
    }
    return k.step();
  }

  private static void roll(Kernel k, INDArray x, INDArray z, int axis, long shift) {
    long n = x.size(axis);
    long first = n == 0 ? 0 : Math.floorMod(shift, n);
    k.copy(Views.range(x, axis, n - first, first), Views.range(z, axis, 0, first));
    k.copy(Views.range(x, axis, 0, n - first), Views.range(z, axis, first, n - first));
  }
}
