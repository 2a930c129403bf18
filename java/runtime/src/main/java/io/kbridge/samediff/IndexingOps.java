package io.kbridge.samediff;

import static io.kbridge.samediff.Formulas.cast;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.graph.Dims;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.LongStream;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.enums.PadMode;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.factory.Nd4j;

/** Parts of arrays, padding, and tables that are looked up. Indices are not checked: one outside of a table reads something else. */
public final class IndexingOps implements SameDiffMappings {
  /** Makes the family; for the service loader. */
  public IndexingOps() {}

  @Override
  public void register(SameDiffRegistry registry) {
    registry.op("GetItem", IndexingOps::getItem);
    registry.op("Slice", IndexingOps::slice);
    registry.op("Pad", IndexingOps::pad);
    registry.op("Take", IndexingOps::take);
    registry.op("OneHot", node -> node.give(oneHot(node)));
    registry.op("MultiHot", IndexingOps::multiHot);
  }

  /** What {@code stridedSlice} is given. A backwards slice is one of the reversed axis: its own negative steps end the process. */
  private static final class Cut {
    private final long[] begin;
    private final long[] end;
    private final long[] step;
    private final List<Integer> reversed = new ArrayList<>();
    private int fromStart;
    private int toEnd;
    private int dropped;

    Cut(int rank) {
      begin = new long[rank];
      end = new long[rank];
      step = new long[rank];
      Arrays.fill(end, 1);
      Arrays.fill(step, 1);
    }

    void whole(int axis) {
      fromStart |= 1 << axis;
      toEnd |= 1 << axis;
    }

    void index(int axis, long index, long size) {
      begin[axis] = index < 0 && size >= 0 ? index + size : index;
      end[axis] = begin[axis] + 1;
      if (end[axis] == 0) {
        toEnd |= 1 << axis;
      }
      dropped |= 1 << axis;
    }

    void slice(int axis, long size, Long start, Long stop, long by) {
      if (start == null && stop == null && by == 1) {
        whole(axis);
        return;
      }
      if (size < 0) {
        open(axis, start, stop, by);
        return;
      }
      long least = by > 0 ? 0 : -1;
      long most = by > 0 ? size : size - 1;
      long from = start == null ? (by > 0 ? least : most) : Math.max(least, Math.min(most, start < 0 ? start + size : start));
      long to = stop == null ? (by > 0 ? most : least) : Math.max(least, Math.min(most, stop < 0 ? stop + size : stop));
      if (by > 0 ? from >= to : from <= to) {
        throw new Refusal("an empty slice");
      }
      begin[axis] = by > 0 ? from : size - 1 - from;
      end[axis] = by > 0 ? to : size - 1 - to;
      step[axis] = Math.abs(by);
      if (by < 0) {
        reversed.add(axis);
      }
    }

    /** On an axis whose size is known at call time only: what needs no clipping. */
    private void open(int axis, Long start, Long stop, long by) {
      boolean backwards = by < 0 && start == null && stop == null;
      if (!backwards && (by < 0 || (stop != null && stop >= 0))) {
        throw new Refusal("a slice of an axis whose size is known at call time only");
      }
      if (by < 0) {
        reversed.add(axis);
      }
      step[axis] = Math.abs(by);
      fromStart |= start == null ? 1 << axis : 0;
      toEnd |= stop == null ? 1 << axis : 0;
      begin[axis] = start == null ? 0 : start;
      end[axis] = stop == null ? 1 : stop;
    }

    SDVariable of(SDVariable x) {
      SameDiff sd = x.getSameDiff();
      int[] axes = reversed.stream().mapToInt(i -> i).toArray();
      SDVariable forwards = axes.length == 0 ? x : sd.reverse(x, axes);
      int all = (1 << begin.length) - 1;
      if (dropped == 0 && (fromStart & toEnd) == all && Arrays.stream(step).allMatch(s -> s == 1)) {
        return forwards;
      }
      return sd.stridedSlice(forwards, begin, end, step, fromStart, toEnd, 0, 0, dropped);
    }
  }

  private static void getItem(SameDiffNode node) {
    Cut cut = new Cut(node.rank(0));
    List<Integer> added = new ArrayList<>();
    int axis = 0;
    int place = 0;
    for (JsonNode key : node.attrs().json("key")) {
      if (key.has("newaxis")) {
        added.add(place++);
        continue;
      }
      long size = node.shape(0)[axis];
      if (key.has("index")) {
        cut.index(axis++, node.known(key.get("index")), size);
        continue;
      }
      JsonNode slice = key.get("slice");
      Long by = number(node, slice.get(2));
      cut.slice(axis++, size, number(node, slice.get(0)), number(node, slice.get(1)), by == null ? 1 : by);
      place++;
    }
    for (; axis < node.rank(0); axis++) {
      cut.whole(axis);
    }
    SDVariable x = node.rank(0) == 0 ? LayoutOps.movable(node.in(0)) : cut.of(LayoutOps.movable(node.in(0)));
    for (int at : added) {
      x = node.sd().expandDims(x, at);
    }
    node.give(x);
  }

  private static Long number(SameDiffNode node, JsonNode value) {
    return value.isNull() ? null : Long.valueOf(node.known(value));
  }

  private static void slice(SameDiffNode node) {
    Cut cut = new Cut(node.rank(0));
    JsonNode starts = node.attrs().json("start_indices");
    JsonNode shape = node.attrs().json("shape");
    for (int axis = 0; axis < node.rank(0); axis++) {
      long start = node.known(starts.get(axis));
      JsonNode size = shape.get(axis);
      boolean own = Dims.is(size) && size.size() == 1 && size.get("dims").size() == 1
          && size.get("dims").get(0).get(0).textValue().equals(node.node().inputs().get(0))
          && size.get("dims").get(0).get(1).intValue() == axis;
      if (own && start == 0) {
        cut.whole(axis);
        continue;
      }
      long count = node.known(size);
      if (count < 0) {
        cut.slice(axis, node.shape(0)[axis], start, null, 1);
      } else if (node.shape(0)[axis] < 0) {
        throw new Refusal("a part of an axis whose size is known at call time only");
      } else {
        cut.slice(axis, node.shape(0)[axis], start, start + count, 1);
      }
    }
    node.give(cut.of(LayoutOps.movable(node.in(0))));
  }

  private static void pad(SameDiffNode node) {
    SameDiff sd = node.sd();
    JsonNode widths = node.attrs().json("pad_width");
    int[] flat = new int[2 * node.rank(0)];
    for (int i = 0; i < flat.length; i++) {
      flat[i] = (int) node.known(widths.get(i / 2).get(i % 2));
    }
    SDVariable x = LayoutOps.movable(node.in(0));
    if (Arrays.stream(flat).allMatch(w -> w == 0)) {
      node.give(x);
      return;
    }
    SDVariable padding = sd.constant(Nd4j.createFromArray(flat).reshape(node.rank(0), 2));
    String mode = node.attrs().getString("mode", "constant");
    switch (mode) {
      case "constant":
        node.give(sd.nn().pad(x, padding, node.attrs().getDouble("constant_values", 0)));
        return;
      case "reflect":
      case "symmetric":
        requireRoom(node, flat, mode.equals("reflect") ? 1 : 0);
        node.give(sd.nn().pad(x, padding, mode.equals("reflect") ? PadMode.REFLECT : PadMode.SYMMETRIC, 0));
        return;
      default:
        throw new Refusal("padding of mode " + mode);
    }
  }

  private static void requireRoom(SameDiffNode node, int[] widths, int less) {
    for (int i = 0; i < widths.length; i++) {
      long size = node.shape(0)[i / 2];
      if (widths[i] > 0 && (size < 0 || widths[i] > size - less)) {
        throw new Refusal("mirrored padding wider than the axis");
      }
    }
  }

  /** {@code gather} with a flat list of indices, of a table of two axes at least: others end the process. */
  private static void take(SameDiffNode node) {
    SameDiff sd = node.sd();
    int axis = node.attrs().getInt("axis");
    Sizes table = node.sizes(0);
    Sizes indices = node.sizes(1);
    SDVariable count = table.variable(table.get(axis));
    SDVariable flat = sd.reshape(sd.math().floorMod(node.in(1, DataType.INT64), count), -1);
    SDVariable x = LayoutOps.movable(node.in(0));
    Sizes shape = new Sizes(sd);
    for (int i = 0; i < axis; i++) {
      shape.add(table.get(i));
    }
    for (int i = 0; i < indices.count(); i++) {
      shape.add(indices.get(i));
    }
    for (int i = axis + 1; i < table.count(); i++) {
      shape.add(table.get(i));
    }
    SDVariable found = table.count() == 1 ? sd.gather(sd.reshape(x, -1, 1), flat, 0) : sd.gather(x, flat, axis);
    node.give(shape.reshape(found));
  }

  /** Equality with the class numbers; whatever is outside of them gives zeros. */
  private static SDVariable oneHot(SameDiffNode node) {
    int axis = node.attrs().getInt("axis");
    long classes = node.known(node.attrs().json("num_classes"));
    long[] along = new long[node.rank(0) + 1];
    Arrays.fill(along, 1);
    along[axis] = classes;
    SDVariable numbers = node.sd().constant(Nd4j.createFromArray(LongStream.range(0, classes).toArray()).reshape(along));
    return node.sd().expandDims(node.in(0, DataType.INT64), axis).eq(numbers);
  }

  private static void multiHot(SameDiffNode node) {
    node.give(cast(oneHot(node), DataType.INT32).max(false, node.rank(0) > 1 ? 1 : 0));
  }
}
