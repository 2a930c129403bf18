package io.kbridge.train.gradient;

import io.kbridge.graph.Attributes;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/** Rules of reductions over axes, and of running sums and products. */
public final class ReductionRules implements GradientRules {
  /** Makes the family; for the service loader. */
  public ReductionRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.rule("Sum", c -> c.give(0, spread(c, c.gradient(0))));
    registry.rule("Mean", c -> c.give(0, c.e().div(spread(c, c.gradient(0)), count(c))));
    registry.rule("Prod", ReductionRules::product);
    registry.composed("Var", c -> List.of(variance(c)));
    registry.composed("Std", c -> List.of(c.e().sqrt(variance(c))));
    for (String op : List.of("Max", "Amax", "Min", "Amin")) {
      registry.rule(op, ReductionRules::extremum);
    }
    registry.rule("Logsumexp", ReductionRules::logSumExp);
    registry.zero("Any", "All", "CountNonzero", "Argmax", "Argmin");
    registry.rule("Cumsum", c -> c.give(0, fromTheEnd(c, c.gradient(0))));
    registry.rule("Cumprod", ReductionRules::cumprod);
  }

  static int[] axes(GradientContext c, String name) {
    return axes(c.attrs(), name);
  }

  /** Reads axes that are one integer or a list, in ascending order. */
  static int[] axes(Attributes attrs, String name) {
    return attrs.json(name).isArray()
        ? LongStream.of(attrs.getLongs(name)).sorted().mapToInt(axis -> (int) axis).toArray()
        : new int[] {attrs.getInt(name)};
  }

  /** Puts the reduced axes back, with size 1. */
  private static Sym kept(GradientContext c, Sym reduced) {
    long[] shape = c.input(0).shape();
    IntStream.of(axes(c, "axis")).forEach(axis -> shape[axis] = 1);
    return c.e().reshape(reduced, shape);
  }

  private static Sym spread(GradientContext c, Sym reduced) {
    return c.e().broadcastTo(kept(c, reduced), c.input(0).shape());
  }

  private static double count(GradientContext c) {
    return IntStream.of(axes(c, "axis")).mapToLong(c.input(0)::size).reduce(1, Math::multiplyExact);
  }

  private static Sym variance(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.typedInput(0);
    Sym away = e.sub(x, e.reduce("Mean", x, true, axes(c, "axis")));
    return e.reshape(e.reduce("Mean", e.square(away), true, axes(c, "axis")), c.output(0).shape());
  }

  /** Equal largest elements share the gradient. */
  private static void extremum(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    Sym best = kept(c, c.output(0));
    Sym g = kept(c, c.gradient(0));
    if (c.attrs().has("initial")) {
      // NB: what is left of the elements where the initial value is the better one.
      Sym own = e.reduce(c.node().op(), x, true, axes(c, "axis"));
      double initial = c.attrs().getDouble("initial");
      String wins = c.node().op().endsWith("ax") ? "GreaterEqual" : "LessEqual";
      g = e.where(e.compare(wins, own, initial), g, e.constant(g.type(), 0));
      best = own;
    }
    Sym hits = e.cast(e.compare("Equal", x, best), x.type());
    c.give(0, e.mul(e.div(hits, e.sum(hits, true, axes(c, "axis"))), g));
  }

  /** By the largest element, not by the result, which has fewer digits for large numbers. */
  private static void logSumExp(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.typedInput(0);
    Sym power = e.exp(e.sub(x, e.reduce("Max", x, true, axes(c, "axis"))));
    c.give(0, e.mul(e.div(power, e.sum(power, true, axes(c, "axis"))), kept(c, c.gradient(0))));
  }

  /** The product of the others: those before an element times those behind it, so that zeros do no harm. */
  private static void product(GradientContext c) {
    Emitter e = c.e();
    int[] axes = axes(c, "axis");
    Sym x = c.typedInput(0);
    int[] rest = IntStream.range(0, x.rank()).filter(i -> Arrays.binarySearch(axes, i) < 0).toArray();
    int[] order = IntStream.concat(IntStream.of(rest), IntStream.of(axes)).toArray();
    Sym moved = e.transpose(x, order);
    long n = (long) count(c);
    Sym rows = e.reshape(moved, x.length() / Math.max(1, n), n);
    Sym others = e.mul(before(e, rows), flip(e, before(e, flip(e, rows, 1)), 1));
    int[] back = new int[order.length];
    IntStream.range(0, order.length).forEach(i -> back[order[i]] = i);
    c.give(0, e.mul(spread(c, c.gradient(0)), e.transpose(e.reshape(others, moved.shape()), back)));
  }

  /** For each element of a row, the product of those before it. */
  private static Sym before(Emitter e, Sym rows) {
    Sym ones = e.full(rows.type(), 1, rows.size(0), 1);
    Sym shifted = e.concatenate(List.of(ones, e.slice(rows, 1, 0, rows.size(1) - 1)), 1);
    return running(e, "Cumprod", shifted, 1);
  }

  private static Sym running(Emitter e, String op, Sym x, int axis) {
    return e.node(op, List.of(x), Emitter.attrs().put("axis", axis), x.type(), x.shape());
  }

  static Sym flip(Emitter e, Sym x, int axis) {
    return e.node("Flip", List.of(x), Emitter.attrs("axis", axis), x.type(), x.shape());
  }

  /** Sums of an element and all behind it. */
  private static Sym fromTheEnd(GradientContext c, Sym g) {
    int axis = c.attrs().getInt("axis");
    return flip(c.e(), running(c.e(), "Cumsum", flip(c.e(), g, axis), axis), axis);
  }

  private static void cumprod(GradientContext c) {
    Emitter e = c.e();
    Sym sums = fromTheEnd(c, e.mul(c.output(0), c.gradient(0)));
    c.give(0, e.binary("DivideNoNan", sums, c.typedInput(0)));
  }
}
