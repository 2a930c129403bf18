package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.nd4j.linalg.factory.Nd4j;

/** Rules of linear algebra and of Fourier transforms. */
public final class LinearAlgebraRules implements GradientRules {
  /** Makes the family; for the service loader. */
  public LinearAlgebraRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.composed("Norm", c -> List.of(norm(c)));
    registry.rule("Det", LinearAlgebraRules::determinant);
    registry.rule("Inv", LinearAlgebraRules::inverse);
    registry.rule("Cholesky", LinearAlgebraRules::cholesky);
    registry.rule("Solve", c -> solve(c, c.attrs().json().deepCopy()));
    registry.rule("SolveTriangular", LinearAlgebraRules::solveTriangular);
    registry.rule("FFT", LinearAlgebraRules::fft);
    registry.rule("RFFT", LinearAlgebraRules::rfft);
    registry.composed("STFT", Spectrogram::frames);
  }

  private static Sym norm(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.typedInput(0);
    int[] axes = c.attrs().has("axis") ? unsorted(c) : IntStream.range(0, x.rank()).toArray();
    Sym size = e.abs(x);
    JsonNode given = c.attrs().json("ord");
    boolean square = given.isNull() || given.isTextual() && given.textValue().equals("fro") || axes.length == 1 && isTwo(c, given);
    Sym found;
    if (square) {
      found = e.sqrt(e.sum(e.mul(x, x), true, axes));
    } else {
      double order = c.attrs().getDouble("ord");
      found = axes.length == 1 ? vector(e, size, order, axes[0]) : matrix(e, size, order, axes);
    }
    return e.reshape(found, c.output(0).shape());
  }

  private static int[] unsorted(GradientContext c) {
    return c.attrs().json("axis").isArray() ? c.attrs().getInts("axis") : new int[] {c.attrs().getInt("axis")};
  }

  private static boolean isTwo(GradientContext c, JsonNode given) {
    return given.isNumber() && c.attrs().getDouble("ord") == 2;
  }

  private static Sym vector(Emitter e, Sym size, double order, int axis) {
    if (Double.isInfinite(order)) {
      return e.reduce(order > 0 ? "Max" : "Min", size, true, axis);
    }
    if (order == 0) {
      return e.sum(e.cast(e.compare("NotEqual", size, 0), size.type()), true, axis);
    }
    return e.power(e.sum(e.power(size, order), true, axis), 1 / order);
  }

  private static Sym matrix(Emitter e, Sym size, double order, int... axes) {
    int summed = Math.abs(order) == 1 ? axes[0] : axes[1];
    int rest = Math.abs(order) == 1 ? axes[1] : axes[0];
    return e.reduce(order > 0 ? "Max" : "Min", e.sum(size, true, summed), true, rest);
  }

  private static Sym invert(Emitter e, Sym x) {
    return e.node("Inv", List.of(x), Emitter.attrs(), x.type(), x.shape());
  }

  private static Sym adjoint(Emitter e, Sym x) {
    int[] order = IntStream.range(0, x.rank()).toArray();
    order[x.rank() - 1] = x.rank() - 2;
    order[x.rank() - 2] = x.rank() - 1;
    return e.transpose(x, order);
  }

  private static void determinant(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    Sym factor = e.mul(c.gradient(0), c.output(0));
    long[] kept = Arrays.copyOf(factor.shape(), x.rank());
    Arrays.fill(kept, x.rank() - 2, x.rank(), 1);
    c.give(0, e.mul(adjoint(e, invert(e, x)), e.reshape(factor, kept)));
  }

  private static void inverse(GradientContext c) {
    Emitter e = c.e();
    Sym y = c.output(0);
    c.give(0, e.neg(e.matmul(e.matmul(y, c.gradient(0), true, false), y, false, true)));
  }

  private static void cholesky(GradientContext c) {
    Emitter e = c.e();
    boolean upper = c.attrs().getBoolean("upper", false);
    Sym l = upper ? adjoint(e, c.output(0)) : c.output(0);
    Sym g = upper ? adjoint(e, c.gradient(0)) : c.gradient(0);
    long n = l.size(l.rank() - 1);
    Sym halves = e.constant(Nd4j.eye(n).mul(-0.5).add(1).castTo(l.type().dataType()));
    Sym product = e.mul(e.matmul(l, g, true, false), halves);
    Sym middle = e.node("Tril", List.of(product), Emitter.attrs().put("k", 0), l.type(), l.shape());
    Sym inverse = invert(e, l);
    Sym half = e.matmul(e.matmul(inverse, middle, true, false), inverse, false, false);
    c.give(0, e.mul(e.add(half, adjoint(e, half)), 0.5));
  }

  /** Solves with the transposed matrix; both may be vectors on the right. */
  private static Sym[] solve(GradientContext c, ObjectNode attrs) {
    Emitter e = c.e();
    Sym a = c.typedInput(0);
    Sym g = c.gradient(0);
    Sym ofB = e.node(c.node().op(), List.of(adjoint(e, a), g), attrs, g.type(), g.shape());
    boolean vectors = g.rank() == a.rank() - 1;
    Sym x = vectors ? column(e, c.output(0)) : c.output(0);
    Sym right = vectors ? column(e, ofB) : ofB;
    Sym ofA = e.neg(e.matmul(right, x, false, true));
    c.giveBroadcast(1, ofB);
    if (attrs.get("lower") == null) {
      c.giveBroadcast(0, ofA);
    }
    return new Sym[] {ofA};
  }

  private static Sym column(Emitter e, Sym x) {
    long[] shape = Arrays.copyOf(x.shape(), x.rank() + 1);
    shape[x.rank()] = 1;
    return e.reshape(x, shape);
  }

  private static void solveTriangular(GradientContext c) {
    boolean lower = c.attrs().getBoolean("lower", false);
    ObjectNode attrs = c.attrs().json().deepCopy();
    attrs.put("lower", !lower);
    Sym full = solve(c, attrs)[0];
    Sym part = c.e().node(lower ? "Tril" : "Triu", List.of(full), Emitter.attrs().put("k", 0), full.type(), full.shape());
    c.giveBroadcast(0, part);
  }

  /** The transform of the conjugate, conjugated. */
  private static Sym[] back(Emitter e, Sym re, Sym im) {
    Sym real = new Sym(e.fresh("FFT"), re.type(), re.shape());
    Sym imaginary = new Sym(e.fresh("FFT"), re.type(), re.shape());
    e.add("FFT", List.of(re, e.neg(im)), Emitter.attrs(), List.of(real, imaginary), List.of());
    return new Sym[] {real, e.neg(imaginary)};
  }

  private static void fft(GradientContext c) {
    Sym[] found = back(c.e(), c.gradient(0), c.gradient(1));
    c.give(0, found[0]);
    c.give(1, found[1]);
  }

  private static void rfft(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    int last = x.rank() - 1;
    long n = x.size(last);
    long length = c.attrs().has("fft_length") ? c.attrs().getLong("fft_length") : n;
    Sym re = fit(e, c.gradient(0), last, length);
    Sym im = fit(e, c.gradient(1), last, length);
    c.give(0, fit(e, back(e, re, im)[0], last, n));
  }

  private static Sym fit(Emitter e, Sym x, int axis, long size) {
    if (x.size(axis) >= size) {
      return e.slice(x, axis, 0, size);
    }
    long[] after = new long[x.rank()];
    after[axis] = size - x.size(axis);
    return e.pad(x, new long[x.rank()], after);
  }
}
