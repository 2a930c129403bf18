package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** Rules of operations that move elements and compute nothing. */
public final class LayoutRules implements GradientRules {
  /** Makes the family; for the service loader. */
  public LayoutRules() {}

  @Override
  public void register(RuleRegistry registry) {
    for (String op : List.of("Reshape", "ExpandDims", "Squeeze")) {
      registry.rule(op, c -> c.give(0, c.e().reshape(c.gradient(0), c.input(0).shape())));
    }
    registry.rule("Transpose", LayoutRules::transpose);
    registry.rule("Concatenate", LayoutRules::concatenate);
    registry.rule("Stack", LayoutRules::stack);
    registry.rule("Unstack", LayoutRules::unstack);
    registry.rule("Split", c -> c.give(0, c.e().concatenate(gradients(c), c.attrs().getInt("axis"))));
    registry.rule("Tile", LayoutRules::tile);
    registry.rule("Repeat", LayoutRules::repeat);
    registry.rule("BroadcastTo", c -> c.give(0, c.e().sumTo(c.gradient(0), c.input(0).shape())));
    registry.rule("Flip", c -> c.give(0, same(c, "Flip", c.attrs().json())));
    registry.rule("Roll", LayoutRules::roll);
    registry.rule("DepthToSpace", c -> c.give(0, blocks(c, "SpaceToDepth")));
    registry.rule("SpaceToDepth", c -> c.give(0, blocks(c, "DepthToSpace")));
    registry.rule("Tril", c -> c.give(0, same(c, "Tril", c.attrs().json())));
    registry.rule("Triu", c -> c.give(0, same(c, "Triu", c.attrs().json())));
    registry.rule("Diag", Positions.rule(0));
    registry.rule("Diagonal", Positions.rule(0));
    registry.rule("Trace", LayoutRules::trace);
    registry.rule("Meshgrid", LayoutRules::meshgrid);
    registry.rule("Full", c -> c.give(0, c.e().reshape(c.e().sum(c.gradient(0)), c.input(0).shape())));
    registry.zero("Arange", "Linspace", "Eye", "Tri");
  }

  /** The op with other attributes on the gradient, for ops that keep the shape. */
  private static Sym same(GradientContext c, String op, ObjectNode attrs) {
    Sym g = c.gradient(0);
    return c.e().node(op, List.of(g), attrs, g.type(), g.shape());
  }

  private static Sym blocks(GradientContext c, String op) {
    Sym g = c.gradient(0);
    return c.e().node(op, List.of(g), c.attrs().json(), g.type(), c.input(0).shape());
  }

  static int[] inverse(int... order) {
    int[] back = new int[order.length];
    IntStream.range(0, order.length).forEach(i -> back[order[i]] = i);
    return back;
  }

  private static void transpose(GradientContext c) {
    c.give(0, c.e().transpose(c.gradient(0), inverse(c.attrs().getInts("axes"))));
  }

  private static void concatenate(GradientContext c) {
    int axis = c.attrs().getInt("axis");
    long at = 0;
    for (int i = 0; i < c.inputCount(); i++) {
      c.give(i, c.e().slice(c.gradient(0), axis, at, c.input(i).size(axis)));
      at += c.input(i).size(axis);
    }
  }

  private static void stack(GradientContext c) {
    int axis = c.attrs().getInt("axis");
    for (int i = 0; i < c.inputCount(); i++) {
      c.give(i, c.e().reshape(c.e().slice(c.gradient(0), axis, i, 1), c.input(i).shape()));
    }
  }

  private static List<Sym> gradients(GradientContext c) {
    List<Sym> all = new ArrayList<>();
    for (int i = 0; i < c.node().outputs().size(); i++) {
      all.add(c.gradient(i));
    }
    return all;
  }

  private static void unstack(GradientContext c) {
    int axis = c.attrs().getInt("axis");
    long[] shape = c.input(0).shape();
    shape[axis] = 1;
    List<Sym> parts = new ArrayList<>();
    gradients(c).forEach(part -> parts.add(c.e().reshape(part, shape)));
    c.give(0, c.e().concatenate(parts, axis));
  }

  private static void tile(GradientContext c) {
    long[] given = c.attrs().getLongs("repeats");
    Sym x = c.input(0);
    int rank = Math.max(given.length, x.rank());
    long[] apart = new long[2 * rank];
    for (int i = 0; i < rank; i++) {
      int repeat = i - (rank - given.length);
      int own = i - (rank - x.rank());
      apart[2 * i] = repeat < 0 ? 1 : given[repeat];
      apart[2 * i + 1] = own < 0 ? 1 : x.size(own);
    }
    int[] repeats = IntStream.range(0, rank).map(i -> 2 * i).toArray();
    c.give(0, c.e().reshape(c.e().sum(c.e().reshape(c.gradient(0), apart), false, repeats), x.shape()));
  }

  private static void repeat(GradientContext c) {
    int axis = c.attrs().getInt("axis");
    if (c.attrs().json("repeats").isArray() && c.attrs().getLongs("repeats").length > 1) {
      Positions.rule(0).apply(c);
      return;
    }
    Sym x = c.input(0);
    long[] apart = new long[x.rank() + 1];
    System.arraycopy(x.shape(), 0, apart, 0, axis + 1);
    System.arraycopy(x.shape(), axis + 1, apart, axis + 2, x.rank() - axis - 1);
    apart[axis + 1] = x.size(axis) == 0 ? 0 : c.output(0).size(axis) / x.size(axis);
    c.give(0, c.e().sum(c.e().reshape(c.gradient(0), apart), false, axis + 1));
  }

  private static void roll(GradientContext c) {
    ObjectNode attrs = c.attrs().json().deepCopy();
    if (attrs.get("shift").isArray()) {
      Emitter.put(attrs, "shift", Arrays.stream(c.attrs().getLongs("shift")).map(shift -> -shift).toArray());
    } else {
      attrs.put("shift", -c.attrs().getLong("shift"));
    }
    c.give(0, same(c, "Roll", attrs));
  }

  private static void trace(GradientContext c) {
    c.through(
        context -> {
          Sym x = context.input(0);
          int first = Math.floorMod(c.attrs().getInt("axis1", 0), x.rank());
          int second = Math.floorMod(c.attrs().getInt("axis2", 1), x.rank());
          long offset = c.attrs().getLong("offset", 0);
          long length = Math.max(0, Math.min(x.size(first) + Math.min(0, offset), x.size(second) - Math.max(0, offset)));
          long[] rest = IntStream.range(0, x.rank()).filter(i -> i != first && i != second).mapToLong(x::size).toArray();
          long[] shape = Arrays.copyOf(rest, rest.length + 1);
          shape[rest.length] = length;
          Sym diagonal = c.e().node("Diagonal", List.of(x), c.attrs().json(), x.type(), shape);
          return List.of(c.e().sum(diagonal, false, rest.length));
        });
  }

  private static void meshgrid(GradientContext c) {
    int n = c.inputCount();
    boolean swapped = c.attrs().getString("indexing", "xy").equals("xy") && n > 1;
    for (int i = 0; i < n; i++) {
      int own = swapped && i < 2 ? 1 - i : i;
      int[] others = IntStream.range(0, n).filter(axis -> axis != own).toArray();
      c.give(i, c.e().reshape(c.e().sum(c.gradient(i), false, others), c.input(i).shape()));
    }
  }
}
