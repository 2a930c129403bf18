package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.graph.ElementType;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.nd4j.linalg.factory.Nd4j;

/** Rules of parts of arrays, elements picked by index, writing by index, and sums by group. */
public final class IndexingRules implements GradientRules {
  /** Makes the family; for the service loader. */
  public IndexingRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.rule("GetItem", IndexingRules::getItem);
    registry.rule("Slice", IndexingRules::slice);
    registry.rule("SliceUpdate", IndexingRules::sliceUpdate);
    registry.rule("Pad", IndexingRules::pad);
    registry.rule("Take", IndexingRules::take);
    registry.rule("TakeAlongAxis", Positions.rule(0));
    registry.rule("Scatter", c -> c.give(1, picked(c, c.input(0), c.input(1))));
    registry.rule("ScatterUpdate", IndexingRules::scatterUpdate);
    registry.rule("SegmentSum", c -> c.give(0, rowsAt(c, c.gradient(0))));
    registry.rule("SegmentMax", IndexingRules::segmentExtremum);
    registry.rule("SegmentMin", IndexingRules::segmentExtremum);
    registry.rule("SegmentProd", IndexingRules::segmentProduct);
    registry.rule("Sort", IndexingRules::sort);
    registry.rule("TopK", IndexingRules::topK);
    registry.zero("OneHot", "MultiHot", "Argsort", "InTopK", "SearchSorted", "Hashing", "HashedCrossing");
  }

  /** A padded gradient where the key is plain; otherwise by positions. */
  private static void getItem(GradientContext c) {
    Sym x = c.input(0);
    long[] before = new long[x.rank()];
    long[] after = new long[x.rank()];
    long[] sizes = new long[x.rank()];
    int axis = 0;
    for (JsonNode key : c.attrs().json("key")) {
      if (key.has("newaxis")) {
        continue;
      }
      long size = x.size(axis);
      if (key.has("index")) {
        before[axis] = Math.floorMod(key.get("index").longValue(), Math.max(1, size));
        sizes[axis] = 1;
      } else if (key.get("slice").get(2).isNull() || key.get("slice").get(2).longValue() == 1) {
        before[axis] = bound(key.get("slice").get(0), size, 0);
        sizes[axis] = Math.max(0, bound(key.get("slice").get(1), size, size) - before[axis]);
      } else {
        Positions.rule(0).apply(c);
        return;
      }
      after[axis] = size - before[axis] - sizes[axis];
      axis++;
    }
    c.give(0, c.e().pad(c.e().reshape(c.gradient(0), sizes), before, after));
  }

  private static long bound(JsonNode value, long size, long otherwise) {
    if (value.isNull()) {
      return otherwise;
    }
    long index = value.longValue();
    return Math.max(0, Math.min(size, index < 0 ? index + size : index));
  }

  private static void slice(GradientContext c) {
    long[] before = c.attrs().getLongs("start_indices");
    Sym g = c.gradient(0);
    long[] after = new long[before.length];
    Arrays.setAll(after, i -> c.input(0).size(i) - before[i] - g.size(i));
    c.give(0, c.e().pad(g, before, after));
  }

  private static void sliceUpdate(GradientContext c) {
    Sym g = c.gradient(0);
    Sym part = c.input(1);
    Sym zeros = c.e().full(g.type(), 0, part.shape());
    c.give(0, c.e().node("SliceUpdate", List.of(g, zeros), c.attrs().json(), g.type(), g.shape()));
    c.give(1, c.e().slice(g, c.attrs().getLongs("start_indices"), part.shape()));
  }

  private static void pad(GradientContext c) {
    if (!c.attrs().getString("mode", "constant").equals("constant")) {
      Positions.rule(0).apply(c);
      return;
    }
    JsonNode widths = c.attrs().json("pad_width");
    long[] starts = IntStream.range(0, widths.size()).mapToLong(i -> widths.get(i).get(0).longValue()).toArray();
    c.give(0, c.e().slice(c.gradient(0), starts, c.input(0).shape()));
  }

  /** Rows of the gradient are added up where they were taken from; the axis goes to the front for that. */
  private static void take(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    Sym indices = c.input(1);
    int axis = c.attrs().getInt("axis");
    long n = x.size(axis);
    int m = indices.rank();
    int rank = c.output(0).rank();
    int[] order =
        IntStream.concat(
                IntStream.range(axis, axis + m), IntStream.concat(IntStream.range(0, axis), IntStream.range(axis + m, rank)))
            .toArray();
    Sym front = e.transpose(c.gradient(0), order);
    long row = indices.length() == 0 ? 0 : front.length() / indices.length();
    Sym rows = e.reshape(front, indices.length(), row);
    Sym sums = Positions.addUp(e, rows, indices, n);
    long[] shape = LongStream.concat(LongStream.of(n), IntStream.range(0, x.rank()).filter(i -> i != axis).mapToLong(x::size)).toArray();
    int[] back = IntStream.range(0, x.rank()).map(i -> i == axis ? 0 : i < axis ? i + 1 : i).toArray();
    Sym sum = e.transpose(e.reshape(sums, shape), back);
    if (axis == 0 && x.isFloat()) {
      c.giveRows(0, indices, rows, sum);
    } else {
      c.give(0, sum);
    }
  }

  /** Reads the gradient where values were written. */
  private static Sym picked(GradientContext c, Sym indices, Sym values) {
    Emitter e = c.e();
    Sym g = c.gradient(0);
    int depth = indices.rank() == 0 ? 1 : (int) indices.size(indices.rank() - 1);
    long count = indices.length() / Math.max(1, depth);
    Sym flat = e.full(ElementType.INT64, 0, count);
    long outer = 1;
    for (int i = depth - 1; i >= 0; i--) {
      Sym column = e.reshape(e.slice(e.reshape(indices, count, depth), 1, i, 1), count);
      Sym place = e.binary("Mod", e.cast(column, ElementType.INT64), e.constant(ElementType.INT64, g.size(i)));
      flat = e.add(flat, e.mul(place, outer));
      outer *= g.size(i);
    }
    Sym rows = e.reshape(g, outer, g.length() / Math.max(1, outer));
    return e.reshape(rowsAt(e, rows, flat), values.shape());
  }

  private static void scatterUpdate(GradientContext c) {
    String reduction = c.attrs().getString("reduction", "upd");
    Sym g = c.gradient(0);
    if (reduction.equals("upd")) {
      Sym zeros = c.e().full(g.type(), 0, c.input(2).shape());
      c.give(0, c.e().node("ScatterUpdate", List.of(g, c.input(1), zeros), c.attrs().json(), g.type(), g.shape()));
    } else if (reduction.equals("add")) {
      c.give(0, g);
    } else {
      throw RuleRegistry.refused(c, "ScatterUpdate with reduction " + reduction);
    }
    c.give(2, picked(c, c.input(1), c.input(2)));
  }

  private static Sym rowsAt(Emitter e, Sym rows, Sym numbers) {
    return e.node("Take", List.of(rows, numbers), Emitter.attrs().put("axis", 0), rows.type(), numbers.size(0), rows.size(1));
  }

  /** Gives each element what its group has. */
  private static Sym rowsAt(GradientContext c, Sym groups) {
    Sym x = c.input(0);
    Sym rows = c.e().reshape(groups, groups.size(0), groups.length() / Math.max(1, groups.size(0)));
    return c.e().reshape(rowsAt(c.e(), rows, c.input(1)), x.shape());
  }

  private static Sym perGroup(GradientContext c, String op, Sym x) {
    return c.e().node(op, List.of(x, c.input(1)), c.attrs().json(), x.type(), c.output(0).shape());
  }

  /** Equal largest elements of a group share its gradient. */
  private static void segmentExtremum(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    Sym hits = e.cast(e.compare("Equal", x, rowsAt(c, c.output(0))), x.type());
    Sym share = e.div(c.gradient(0), perGroup(c, "SegmentSum", hits));
    c.give(0, e.where(e.compare("Greater", hits, 0), rowsAt(c, share), e.constant(x.type(), 0)));
  }

  /** The product of the others: by division, but for zeros. */
  private static void segmentProduct(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    Sym zero = e.compare("Equal", x, 0);
    Sym none = e.constant(x.type(), 0);
    Sym zeros = perGroup(c, "SegmentSum", e.cast(zero, x.type()));
    Sym g = e.where(e.compare("Greater", zeros, 1), none, c.gradient(0));
    Sym nonzero = e.where(zero, e.constant(x.type(), 1), x);
    Sym others = e.where(zero, rowsAt(c, perGroup(c, "SegmentProd", nonzero)), e.div(rowsAt(c, c.output(0)), nonzero));
    c.give(0, e.mul(rowsAt(c, g), others));
  }

  /** The order of the order leads back. */
  private static void sort(GradientContext c) {
    Sym order = order(c, c.input(0));
    Sym g = c.gradient(0);
    List<Sym> inputs = List.of(g, order(c, order));
    c.give(0, c.e().node("TakeAlongAxis", inputs, c.attrs().json(), g.type(), g.shape()));
  }

  private static Sym order(GradientContext c, Sym x) {
    return c.e().node("Argsort", List.of(x), c.attrs().json(), ElementType.INT32, x.shape());
  }

  private static void topK(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    Sym g = c.gradient(0);
    long n = x.size(x.rank() - 1);
    long rows = x.length() / n;
    Sym starts = e.constant(Nd4j.createFromArray(LongStream.range(0, rows).map(row -> row * n).toArray()).reshape(rows, 1));
    Sym places = e.add(e.reshape(e.cast(c.output(1), ElementType.INT64), rows, g.length() / rows), starts);
    c.give(0, e.reshape(Positions.addUp(e, e.reshape(g, g.length(), 1), places, x.length()), x.shape()));
  }
}
