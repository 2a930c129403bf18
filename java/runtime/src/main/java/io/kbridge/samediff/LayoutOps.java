package io.kbridge.samediff;

import static io.kbridge.samediff.Formulas.cast;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Operations that move elements and compute nothing, and arrays made of numbers alone. */
public final class LayoutOps implements SameDiffMappings {
  /** Makes the family; for the service loader. */
  public LayoutOps() {}

  @Override
  public void register(SameDiffRegistry registry) {
    registry.op("Reshape", node -> node.give(node.dims("newshape").reshape(node.in(0))));
    registry.op("ExpandDims", LayoutOps::expandDims);
    registry.op("Squeeze", node -> node.give(squeeze(node.in(0), node.axes("axis"))));
    registry.op("Transpose", node -> node.give(permute(node.in(0), node.attrs().getInts("axes"))));
    registry.op("Concatenate", LayoutOps::concatenate);
    registry.op("Stack", LayoutOps::stack);
    registry.op("Unstack", LayoutOps::unstack);
    registry.op("Split", LayoutOps::split);
    registry.op("Tile", LayoutOps::tile);
    registry.op("Repeat", LayoutOps::repeat);
    registry.op("BroadcastTo", LayoutOps::broadcastTo);
    registry.op("Flip", LayoutOps::flip);
    registry.op("Roll", LayoutOps::roll);
    registry.op("Full", node -> node.give(spread(node.in(0), node.dims("shape"))));
    registry.op("Arange", LayoutOps::arange);
    registry.op("Eye", node -> band(node, true));
    registry.op("Tri", node -> band(node, false));
    registry.op("Tril", node -> triangle(node, true));
    registry.op("Triu", node -> triangle(node, false));
  }

  /** SameDiff's permute of a scalar or vector is left out. */
  static SDVariable permute(SDVariable x, int... axes) {
    return IntStream.range(0, axes.length).allMatch(i -> axes[i] == i) ? x : x.getSameDiff().permute(x, axes);
  }

  /** As a type that SameDiff's operations on layout take: not BOOL. */
  static SDVariable movable(SDVariable x) {
    return x.dataType() == DataType.BOOL ? cast(x, DataType.INT32) : x;
  }

  private static void expandDims(SameDiffNode node) {
    SDVariable x = node.in(0);
    for (int axis : node.axes("axis")) {
      x = node.sd().expandDims(x, axis);
    }
    node.give(x);
  }

  /** Takes axes of size 1 out; they are in order. */
  static SDVariable squeeze(SDVariable x, int... axes) {
    SDVariable left = x;
    for (int i = axes.length - 1; i >= 0; i--) {
      left = x.getSameDiff().squeeze(left, axes[i]);
    }
    return left;
  }

  private static SDVariable[] all(SameDiffNode node) {
    DataType type = node.type() == DataType.BOOL ? DataType.INT32 : node.type();
    return IntStream.range(0, node.node().inputs().size()).mapToObj(i -> node.in(i, type)).toArray(SDVariable[]::new);
  }

  private static void concatenate(SameDiffNode node) {
    SDVariable[] parts = all(node);
    node.give(parts.length == 1 ? parts[0] : node.sd().concat(node.attrs().getInt("axis"), parts));
  }

  private static void stack(SameDiffNode node) {
    node.give(node.sd().stack(node.attrs().getInt("axis"), all(node)));
  }

  private static void unstack(SameDiffNode node) {
    int axis = node.attrs().getInt("axis");
    SDVariable x = movable(node.in(0));
    for (int i = 0; i < node.node().outputs().size(); i++) {
      node.give(i, node.sd().squeeze(Formulas.range(x, node.rank(0), axis, i, i + 1), axis));
    }
  }

  private static void split(SameDiffNode node) {
    int axis = node.attrs().getInt("axis");
    long size = node.shape(0)[axis];
    int n = node.node().outputs().size();
    if (size < 0) {
      throw new Refusal("an axis of a size that is known at call time only");
    }
    boolean at = node.attrs().json("indices_or_sections").isArray();
    long[] cuts = at ? node.attrs().getLongs("indices_or_sections") : LongStream.range(1, n).map(i -> i * (size / n)).toArray();
    SDVariable x = movable(node.in(0));
    long start = 0;
    for (int i = 0; i < n; i++) {
      long end = i < cuts.length ? Math.max(0, Math.min(size, cuts[i] < 0 ? cuts[i] + size : cuts[i])) : size;
      if (end <= start) {
        throw new Refusal("an empty part");
      }
      node.give(i, Formulas.range(x, node.rank(0), axis, start, end));
      start = end;
    }
  }

  private static void tile(SameDiffNode node) {
    Sizes repeats = node.dims("repeats");
    SDVariable x = movable(node.in(0));
    for (int rank = node.rank(0); rank < repeats.count(); rank++) {
      x = node.sd().expandDims(x, 0);
    }
    Sizes padded = new Sizes(node.sd());
    for (int rank = repeats.count(); rank < node.rank(0); rank++) {
      padded.add(1L);
    }
    for (int i = 0; i < repeats.count(); i++) {
      padded.add(repeats.get(i));
    }
    node.give(tile(x, padded));
  }

  private static SDVariable tile(SDVariable x, Sizes repeats) {
    SameDiff sd = x.getSameDiff();
    if (repeats.isKnown()) {
      int[] counts = IntStream.range(0, repeats.count()).map(i -> Math.toIntExact((Long) repeats.get(i))).toArray();
      return Arrays.stream(counts).allMatch(c -> c == 1) ? x : sd.tile(x, counts);
    }
    return sd.tile(x, repeats.vector());
  }

  /** Each element of an axis some times: by a new axis that repeats; SameDiff's {@code repeat} ends the process. */
  private static void repeat(SameDiffNode node) {
    SameDiff sd = node.sd();
    int axis = node.attrs().getInt("axis");
    JsonNode given = node.attrs().json("repeats");
    SDVariable x = movable(node.in(0));
    Sizes sizes = node.sizes(0);
    if (given.isArray() && given.size() > 1) {
      long[] counts = node.attrs().getLongs("repeats");
      int[] indices = IntStream.range(0, counts.length).flatMap(i -> IntStream.range(0, (int) counts[i]).map(k -> i)).toArray();
      node.give(node.rank(0) == 1
          ? sd.reshape(sd.gather(sd.reshape(x, -1, 1), sd.constant(Nd4j.createFromArray(indices)), 0), indices.length)
          : sd.gather(x, sd.constant(Nd4j.createFromArray(indices)), axis));
      return;
    }
    long count = node.known(given.isArray() ? given.get(0) : given);
    Sizes repeats = new Sizes(sd);
    for (int i = 0; i <= sizes.count(); i++) {
      repeats.add(i == axis + 1 ? count : 1L);
    }
    SDVariable apart = tile(sd.expandDims(x, axis + 1), repeats);
    node.give(sizes.with(axis, sizes.times(sizes.get(axis), count)).reshape(apart));
  }

  private static SDVariable spread(SDVariable x, Sizes sizes) {
    SDVariable given = movable(x);
    return given.mul(sizes.ones(given.dataType()));
  }

  private static void broadcastTo(SameDiffNode node) {
    Sizes shape = node.dims("shape");
    Sizes own = node.sizes(0);
    int lead = shape.count() - own.count();
    for (int i = lead; i < shape.count(); i++) {
      shape = Long.valueOf(-1).equals(shape.get(i)) ? shape.with(i, own.get(i - lead)) : shape;
    }
    node.give(spread(node.in(0), shape));
  }

  private static void flip(SameDiffNode node) {
    int[] axes = node.axes("axis");
    node.give(axes.length == 0 ? node.in(0) : node.sd().reverse(movable(node.in(0)), axes));
  }

  /** Two parts in the other order; ND4J's {@code roll} is wrong for some shifts. */
  private static void roll(SameDiffNode node) {
    int[] axes = node.axes("axis");
    JsonNode shift = node.attrs().json("shift");
    SDVariable x = movable(node.in(0));
    for (int i = 0; i < axes.length; i++) {
      long size = node.shape(0)[axes[i]];
      if (size <= 0) {
        throw new Refusal("an axis of a size that is known at call time only");
      }
      long first = Math.floorMod(node.known(shift.isArray() ? shift.get(i) : shift), size);
      if (first > 0) {
        SDVariable end = Formulas.range(x, node.rank(0), axes[i], size - first, size);
        x = node.sd().concat(axes[i], end, Formulas.range(x, node.rank(0), axes[i], 0, size - first));
      }
    }
    node.give(x);
  }

  private static void arange(SameDiffNode node) {
    JsonNode start = node.attrs().json("start");
    JsonNode stop = node.attrs().json("stop");
    JsonNode step = node.attrs().json("step");
    if (start.isNumber() && stop.isNumber() && step.isNumber()) {
      double from = start.doubleValue();
      double by = step.doubleValue();
      double[] values = IntStream.range(0, (int) Math.max(0, Math.ceil((stop.doubleValue() - from) / by))).mapToDouble(i -> from + i * by).toArray();
      node.give(node.sd().constant(Nd4j.createFromArray(values)));
      return;
    }
    SDVariable[] ends = new SDVariable[3];
    int i = 0;
    for (JsonNode end : new JsonNode[] {start, stop, step}) {
      Object size = node.scope().size(end);
      ends[i++] = cast(new Sizes(node.sd()).variable(size), DataType.INT64);
    }
    node.give(node.sd().range(ends[0], ends[1], ends[2], DataType.INT64));
  }

  private static void band(SameDiffNode node, boolean diagonalOnly) {
    int rows = (int) node.known(node.attrs().json("N"));
    int columns = (int) node.known(node.attrs().json("M"));
    node.give(node.sd().constant(mask(rows, columns, node.attrs().getLong("k", 0), diagonalOnly ? 0 : -1)));
  }

  /** Ones on the k-th diagonal, and below it for -1, above it for 1. */
  private static INDArray mask(int rows, int columns, long k, int side) {
    int[] values = new int[rows * columns];
    for (int i = 0; i < values.length; i++) {
      long distance = i % columns - i / columns - k;
      values[i] = distance == 0 || Long.signum(distance) == side ? 1 : 0;
    }
    return Nd4j.createFromArray(values).reshape(rows, columns);
  }

  /** Chosen by a constant mask, so that what is cut may be NaN or infinite. */
  private static void triangle(SameDiffNode node, boolean lower) {
    long[] shape = node.shape(0);
    int rank = shape.length;
    if (shape[rank - 1] < 0 || shape[rank - 2] < 0) {
      throw new Refusal("matrices of a size that is known at call time only");
    }
    INDArray mask = mask((int) shape[rank - 2], (int) shape[rank - 1], node.attrs().getLong("k", 0), lower ? -1 : 1);
    SDVariable x = movable(node.in(0));
    node.give(Formulas.where(node.sd().constant(mask), x, Formulas.scalar(x, 0)));
  }
}
