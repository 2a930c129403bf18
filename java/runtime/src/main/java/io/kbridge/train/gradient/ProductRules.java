package io.kbridge.train.gradient;

import io.kbridge.graph.Subscripts;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiFunction;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.nd4j.linalg.factory.Nd4j;

/** Rules of sums of products. All but {@code Matmul} are seen as an {@code Einsum}, whose gradients are such sums again. */
public final class ProductRules implements GradientRules {
  /** Makes the family; for the service loader. */
  public ProductRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.rule("Matmul", ProductRules::matmul);
    registry.rule("TransposedMatmul", ProductRules::transposed);
    registry.rule("Dot", c -> contract(c, Subscripts::dot));
    registry.rule("Inner", c -> contract(c, Subscripts::inner));
    registry.rule("Vdot", ProductRules::vdot);
    registry.rule("Outer", ProductRules::outer);
    registry.rule("Tensordot", c -> contract(c, (left, right) -> Subscripts.tensordot(c.attrs().json("axes"), left, right)));
    registry.rule("Einsum", ProductRules::einsum);
  }

  private static void matmul(GradientContext c) {
    Emitter e = c.e();
    Sym a = c.typedInput(0);
    Sym b = c.typedInput(1);
    Sym x = a.rank() == 1 ? e.reshape(a, 1, a.size(0)) : a;
    Sym y = b.rank() == 1 ? e.reshape(b, b.size(0), 1) : b;
    long rows = x.size(x.rank() - 2);
    long inner = x.size(x.rank() - 1);
    long columns = y.size(y.rank() - 1);
    if (y.rank() == 2) {
      // One matrix on the right: all rows of the left are rows of one matrix.
      long all = x.length() / Math.max(1, inner);
      Sym left = e.reshape(x, all, inner);
      Sym g = e.reshape(c.gradient(0), all, columns);
      c.give(0, e.reshape(e.matmul(g, y, false, true), a.shape()));
      c.give(1, e.reshape(e.matmul(left, g, true, false), b.shape()));
      return;
    }
    long[] batch = batch(x, y);
    Sym left = e.broadcastTo(x, with(batch, rows, inner));
    Sym right = e.broadcastTo(y, with(batch, inner, columns));
    Sym g = e.reshape(c.gradient(0), with(batch, rows, columns));
    c.give(0, e.reshape(e.sumTo(e.matmul(g, right, false, true), x.shape()), a.shape()));
    c.give(1, e.reshape(e.sumTo(e.matmul(left, g, true, false), y.shape()), b.shape()));
  }

  private static long[] batch(Sym x, Sym y) {
    long[] first = Arrays.copyOf(x.shape(), x.rank() - 2);
    long[] second = Arrays.copyOf(y.shape(), y.rank() - 2);
    return Emitter.broadcast(new Sym("x", x.type(), first), new Sym("y", y.type(), second));
  }

  private static long[] with(long[] batch, long rows, long columns) {
    return LongStream.concat(LongStream.of(batch), LongStream.of(rows, columns)).toArray();
  }

  private static void transposed(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    Sym y = c.input(1);
    Sym g = c.gradient(0);
    boolean first = c.attrs().getBoolean("transpose_x1");
    boolean second = c.attrs().getBoolean("transpose_x2");
    c.give(0, first ? e.matmul(y, g, second, true) : e.matmul(g, y, false, !second));
    c.give(1, second ? e.matmul(g, x, true, first) : e.matmul(x, g, !first, false));
  }

  private static void contract(GradientContext c, BiFunction<Integer, Integer, Subscripts> meeting) {
    int left = c.input(0).rank();
    int right = c.input(1).rank();
    if (left == 0 || right == 0) {
      c.giveBroadcast(0, c.e().mul(c.gradient(0), c.typedInput(1)));
      c.giveBroadcast(1, c.e().mul(c.gradient(0), c.typedInput(0)));
    } else {
      sumOfProducts(c, meeting.apply(left, right));
    }
  }

  private static void vdot(GradientContext c) {
    c.giveBroadcast(0, c.e().mul(c.e().reshape(c.typedInput(1), c.input(0).shape()), c.gradient(0)));
    c.giveBroadcast(1, c.e().mul(c.e().reshape(c.typedInput(0), c.input(1).shape()), c.gradient(0)));
  }

  private static void outer(GradientContext c) {
    Emitter e = c.e();
    Sym g = c.gradient(0);
    Sym x = e.reshape(c.typedInput(0), g.size(0), 1);
    Sym y = e.reshape(c.typedInput(1), g.size(1), 1);
    c.give(0, e.reshape(e.matmul(g, y, false, false), c.input(0).shape()));
    c.give(1, e.reshape(e.matmul(g, x, true, false), c.input(1).shape()));
  }

  private static void einsum(GradientContext c) {
    int[] ranks = IntStream.range(0, c.inputCount()).map(i -> c.input(i).rank()).toArray();
    sumOfProducts(c, Subscripts.einsum(c.attrs().getString("subscripts"), ranks));
  }

  private static void sumOfProducts(GradientContext c, Subscripts subscripts) {
    List<String> labels = subscripts.operands();
    String out = subscripts.result();
    for (int i = 0; i < labels.size(); i++) {
      if (c.wants(i)) {
        c.give(i, ofOperand(c, labels, out, i));
      }
    }
  }

  /** The gradient of one operand: the product of the output's gradient and the other operands, summed to its labels. */
  private static Sym ofOperand(GradientContext c, List<String> labels, String out, int i) {
    Emitter e = c.e();
    List<Sym> factors = new ArrayList<>(List.of(c.gradient(0)));
    List<String> terms = new ArrayList<>(List.of(out));
    for (int k = 0; k < labels.size(); k++) {
      if (k != i) {
        factors.add(c.typedInput(k));
        terms.add(labels.get(k));
      }
    }
    String wanted = diagonals(e, c.input(i), labels, i, factors, terms);
    Sym x = c.input(i);
    long[] full = new long[wanted.length()];
    for (int axis = 0; axis < full.length; axis++) {
      full[axis] = size(factors, terms, wanted.charAt(axis));
    }
    // NB: a label that nothing else has was summed alone: its gradient is the same all along.
    String present = wanted.chars().filter(label -> size(factors, terms, (char) label) > 0).collect(
        StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append).toString();
    long[] shape = present.chars().mapToLong(label -> size(factors, terms, (char) label)).toArray();
    Sym product =
        e.node("Einsum", factors, Emitter.attrs().put("subscripts", String.join(",", terms) + "->" + present), factors.get(0).type(), shape);
    long[] ones = Arrays.stream(full).map(size -> size == 0 ? 1 : size).toArray();
    Sym placed = e.reshape(product, ones);
    return e.sumTo(e.broadcastTo(placed, Emitter.broadcast(placed, x)), x.shape());
  }

  private static long size(List<Sym> factors, List<String> terms, char label) {
    long size = 0;
    for (int k = 0; k < terms.size(); k++) {
      int at = terms.get(k).indexOf(label);
      size = at < 0 ? size : Math.max(size, factors.get(k).size(at));
    }
    return size;
  }

  /** Gives labels that an operand has twice a second name; a matrix of ones on the diagonal says that they are equal. */
  private static String diagonals(Emitter e, Sym x, List<String> labels, int i, List<Sym> factors, List<String> terms) {
    StringBuilder wanted = new StringBuilder(labels.get(i));
    String used = String.join("", labels) + String.join("", terms);
    for (int axis = 0; axis < wanted.length(); axis++) {
      char label = wanted.charAt(axis);
      if (wanted.indexOf(String.valueOf(label)) < axis) {
        String taken = used + wanted;
        char fresh = (char) Subscripts.LETTERS.chars().filter(letter -> taken.indexOf(letter) < 0).findFirst().getAsInt();
        wanted.setCharAt(axis, fresh);
        factors.add(e.constant(Nd4j.eye(x.size(axis)).castTo(x.type().dataType())));
        terms.add("" + label + fresh);
      }
    }
    return wanted.toString();
  }
}
