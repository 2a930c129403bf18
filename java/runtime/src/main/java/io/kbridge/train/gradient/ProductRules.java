package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.nd4j.linalg.factory.Nd4j;

/** Rules of sums of products. All but {@code Matmul} are seen as an {@code Einsum}, whose gradients are such sums again. */
public final class ProductRules implements GradientRules {
  private static final String LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

  /** Makes the family; for the service loader. */
  public ProductRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.rule("Matmul", ProductRules::matmul);
    registry.rule("TransposedMatmul", ProductRules::transposed);
    registry.rule("Dot", c -> contract(c, last(c, 0), Math.max(0, c.input(1).rank() - 2)));
    registry.rule("Inner", c -> contract(c, last(c, 0), last(c, 1)));
    registry.rule("Vdot", ProductRules::vdot);
    registry.rule("Outer", ProductRules::outer);
    registry.rule("Tensordot", ProductRules::tensordot);
    registry.rule("Einsum", ProductRules::einsum);
  }

  private static int last(GradientContext c, int i) {
    return c.input(i).rank() - 1;
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

  private static void contract(GradientContext c, int left, int right) {
    if (c.input(0).rank() == 0 || c.input(1).rank() == 0) {
      c.giveBroadcast(0, c.e().mul(c.gradient(0), c.typedInput(1)));
      c.giveBroadcast(1, c.e().mul(c.gradient(0), c.typedInput(0)));
    } else {
      contract(c, new int[] {left}, new int[] {right});
    }
  }

  private static void contract(GradientContext c, int[] left, int[] right) {
    String a = LETTERS.substring(0, c.input(0).rank());
    StringBuilder b = new StringBuilder(LETTERS.substring(26, 26 + c.input(1).rank()));
    String out = a;
    for (int i = 0; i < left.length; i++) {
      out = out.replace(String.valueOf(a.charAt(left[i])), "");
      b.setCharAt(right[i], a.charAt(left[i]));
    }
    for (char label : b.toString().toCharArray()) {
      out = a.indexOf(label) < 0 ? out + label : out;
    }
    sumOfProducts(c, List.of(a, b.toString()), out);
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

  private static void tensordot(GradientContext c) {
    JsonNode axes = c.attrs().json("axes");
    int left = c.input(0).rank();
    if (axes.isIntegralNumber()) {
      int n = axes.intValue();
      contract(c, IntStream.range(left - n, left).toArray(), IntStream.range(0, n).toArray());
    } else {
      contract(c, axes(axes.get(0), left), axes(axes.get(1), c.input(1).rank()));
    }
  }

  private static int[] axes(JsonNode given, int rank) {
    int n = given.isArray() ? given.size() : 1;
    return IntStream.range(0, n).map(i -> Math.floorMod((given.isArray() ? given.get(i) : given).intValue(), rank)).toArray();
  }

  private static void einsum(GradientContext c) {
    String subscripts = c.attrs().getString("subscripts").replace(" ", "");
    int arrow = subscripts.indexOf("->");
    String[] terms = (arrow < 0 ? subscripts : subscripts.substring(0, arrow)).split(",", -1);
    StringBuilder free = new StringBuilder();
    for (char letter : LETTERS.toCharArray()) {
      free.append(subscripts.indexOf(letter) < 0 ? String.valueOf(letter) : "");
    }
    int longest = 0;
    List<String> labels = new ArrayList<>();
    for (int i = 0; i < terms.length; i++) {
      int dots = c.input(i).rank() - terms[i].replace("...", "").length();
      longest = Math.max(longest, terms[i].contains("...") ? dots : 0);
      // NB: an ellipsis is aligned at its end.
      labels.add(terms[i].replace("...", new StringBuilder(free.substring(0, dots)).reverse()));
    }
    String dots = new StringBuilder(free.substring(0, longest)).reverse().toString();
    sumOfProducts(c, labels, arrow < 0 ? implicit(labels, dots) : subscripts.substring(arrow + 2).replace("...", dots));
  }

  private static String implicit(List<String> labels, String dots) {
    String all = String.join("", labels);
    StringBuilder once = new StringBuilder(dots);
    for (char label : "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".toCharArray()) {
      boolean single = all.indexOf(label) >= 0 && all.indexOf(label) == all.lastIndexOf(label);
      once.append(single && dots.indexOf(label) < 0 ? String.valueOf(label) : "");
    }
    return once.toString();
  }

  private static void sumOfProducts(GradientContext c, List<String> labels, String out) {
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
        char fresh = (char) LETTERS.chars().filter(letter -> taken.indexOf(letter) < 0).findFirst().getAsInt();
        wanted.setCharAt(axis, fresh);
        factors.add(e.constant(Nd4j.eye(x.size(axis)).castTo(x.type().dataType())));
        terms.add("" + label + fresh);
      }
    }
    return wanted.toString();
  }
}
