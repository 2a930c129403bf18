package io.kbridge.samediff;

import java.util.function.UnaryOperator;
import java.util.stream.IntStream;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.factory.Nd4j;

/** Formulas that several mappings share, with the reason why SameDiff's own operation is not used. */
final class Formulas {
  private Formulas() {}

  static SDVariable cast(SDVariable x, DataType type) {
    return x.dataType() == type ? x : x.castTo(type);
  }

  static SDVariable scalar(SDVariable like, double value) {
    return scalar(like.getSameDiff(), like.dataType(), value);
  }

  /** A constant of a type; {@code SameDiff.constant(double)} would make the sum with float32 float64. */
  static SDVariable scalar(SameDiff sd, DataType type, double value) {
    return sd.constant(Nd4j.scalar(type, value));
  }

  static boolean isFloat(SDVariable x) {
    return x.dataType().isFPType();
  }

  /** Half precision is computed in float32 and rounded once, as Keras's backends do. */
  static DataType precise(DataType type) {
    return type == DataType.FLOAT16 || type == DataType.BFLOAT16 ? DataType.FLOAT : type;
  }

  /** Computes in float64 what ND4J writes out with formulas that lose digits. */
  static SDVariable inDouble(SDVariable x, UnaryOperator<SDVariable> formula) {
    return cast(formula.apply(cast(x, DataType.DOUBLE)), x.dataType());
  }

  /** {@code max(x, bound)} with a NaN staying NaN: {@code relu} with a cutoff is that for any number, {@code max} drops NaN. */
  static SDVariable atLeast(SDVariable x, double bound) {
    if (isFloat(x)) {
      return x.getSameDiff().nn().relu(x, bound);
    }
    return x.getSameDiff().math().max(x, scalar(x, bound));
  }

  static SDVariable atMost(SDVariable x, double bound) {
    return isFloat(x) ? atLeast(x.neg(), -bound).neg() : x.getSameDiff().math().min(x, scalar(x, bound));
  }

  static SDVariable clip(SDVariable x, double low, double high) {
    return atMost(atLeast(x, low), high);
  }

  static SDVariable not(SDVariable x) {
    return cast(cast(x, DataType.BOOL), DataType.INT32).eq(0);
  }

  /**
   * {@code condition ? x : y}, broadcast. All three get one shape first, by products with ones, because SameDiff's {@code where} takes a
   * condition of rank 1 for one of rows. What is not chosen leaves no trace.
   */
  static SDVariable where(SDVariable condition, SDVariable x, SDVariable y) {
    SameDiff sd = x.getSameDiff();
    DataType type = x.dataType() == DataType.BOOL ? DataType.INT32 : x.dataType();
    SDVariable a = cast(x, type);
    SDVariable b = cast(y, type);
    SDVariable flags = cast(cast(condition, DataType.BOOL), type);
    SDVariable ones = sd.onesLike(a).mul(sd.onesLike(b)).mul(sd.onesLike(flags));
    SDVariable chosen = sd.where(a.mul(ones), b.mul(ones), flags.mul(ones).gt(scalar(flags, 0)));
    return cast(chosen, x.dataType());
  }

  /** Puts NaN into z where x is NaN; both of one shape. Many of ND4J's operations drop NaN, none of Keras's does. */
  static SDVariable keepNaN(SDVariable x, SDVariable z) {
    SameDiff sd = x.getSameDiff();
    return sd.where(x, z, sd.math().isNaN(x));
  }

  /** Spreads x over the shape that x and y have in common. */
  static SDVariable spread(SDVariable x, SDVariable y) {
    SameDiff sd = x.getSameDiff();
    return x.mul(cast(sd.onesLike(y), x.dataType()));
  }

  /** The sign as a difference of comparisons; ND4J's gives 0 for NaN. */
  static SDVariable sign(SDVariable x) {
    SDVariable zero = scalar(x, 0);
    SDVariable up = cast(x.gt(zero), x.dataType());
    if (!isFloat(x) && !x.dataType().isSigned()) {
      return up;
    }
    SDVariable sign = up.sub(cast(x.lt(zero), x.dataType()));
    return isFloat(x) ? keepNaN(x, sign) : sign;
  }

  /** {@code tanh(x/2) * (exp(x) + 1)} in float64; ND4J's {@code expm1} has no digits near 0. */
  static SDVariable expm1(SDVariable x) {
    return inDouble(x, w -> w.getSameDiff().math().tanh(w.mul(0.5)).mul(w.getSameDiff().math().exp(w).add(1)));
  }

  /** {@code log(u) - ((u - 1) - x) / u} with {@code u = 1 + x}, in float64: the second part gives back what the addition rounded off. */
  static SDVariable log1p(SDVariable x) {
    return inDouble(
        x,
        w -> {
          SDVariable log = w.getSameDiff().math().log(w.add(1));
          SDVariable finite = atMost(w, 1e300);
          SDVariable u = finite.add(1);
          return log.sub(u.sub(1).sub(finite).div(u.add(1e-300)));
        });
  }

  /** {@code max(x, 0) + log1p(exp(-|x|))}; ND4J's {@code softplus} overflows above 88. */
  static SDVariable softplus(SDVariable x) {
    SameDiff sd = x.getSameDiff();
    return atLeast(x, 0).add(log1p(sd.math().exp(sd.math().abs(x).neg())));
  }

  /** The larger or smaller of two, broadcast, NaN kept. */
  static SDVariable extremum(SDVariable x, SDVariable y, boolean largest) {
    SameDiff sd = x.getSameDiff();
    SDVariable a = spread(x, y);
    SDVariable b = spread(y, x);
    SDVariable found = largest ? sd.math().max(a, b) : sd.math().min(a, b);
    return isFloat(x) ? keepNaN(b, keepNaN(a, found)) : found;
  }

  /** Mean and variance over axes, which stay as size 1, in two passes; ND4J's one-pass forms lose digits. */
  static SDVariable[] moments(SDVariable x, long[] shape, int... given) {
    int[] axes = IntStream.of(given).filter(axis -> shape[axis] != 1).toArray();
    if (axes.length == 0) {
      return new SDVariable[] {x, x.sub(x)};
    }
    SDVariable mean = x.mean(true, axes);
    SDVariable centred = x.sub(mean);
    return new SDVariable[] {mean, centred.mul(centred).mean(true, axes)};
  }

  /** {@code 1 / sqrt(x + epsilon)}. */
  static SDVariable inverseRoot(SDVariable x, double epsilon) {
    return x.getSameDiff().math().rsqrt(x.add(epsilon));
  }

  /** Takes equal parts out of an axis of known size. */
  static SDVariable range(SDVariable x, int rank, int axis, long start, long end) {
    long[] from = new long[rank];
    long[] to = new long[rank];
    long[] step = new long[rank];
    int whole = 0;
    for (int i = 0; i < rank; i++) {
      step[i] = 1;
      from[i] = i == axis ? start : 0;
      to[i] = i == axis ? end : 1;
      whole |= i == axis ? 0 : 1 << i;
    }
    return x.getSameDiff().stridedSlice(x, from, to, step, whole, whole, 0, 0, 0);
  }
}
