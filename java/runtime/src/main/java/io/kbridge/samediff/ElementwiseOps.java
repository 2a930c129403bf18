package io.kbridge.samediff;

import static io.kbridge.samediff.Formulas.cast;
import static io.kbridge.samediff.Formulas.inDouble;
import static io.kbridge.samediff.Formulas.isFloat;
import static io.kbridge.samediff.Formulas.scalar;

import java.util.function.UnaryOperator;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Rint;

/** Operations on each element of one array. */
public final class ElementwiseOps implements SameDiffMappings {
  /** Makes the family; for the service loader. */
  public ElementwiseOps() {}

  @Override
  public void register(SameDiffRegistry registry) {
    registry.op("Negative", map(SDVariable::neg));
    registry.op("Absolute", map(ElementwiseOps::absolute));
    registry.op("Fabs", map(ElementwiseOps::absolute));
    registry.op("Floor", rounded(x -> x.getSameDiff().math().floor(x)));
    registry.op("Ceil", rounded(x -> x.getSameDiff().math().ceil(x)));
    registry.op("Trunc", rounded(x -> x.getSameDiff().math().floor(x.getSameDiff().math().abs(x)).mul(Formulas.sign(x))));
    registry.op("Round", ElementwiseOps::round);
    registry.op("Square", map(x -> x.mul(x)));
    registry.op("Reciprocal", map(x -> scalar(x, 1).div(x)));
    registry.op("Sign", map(Formulas::sign));
    registry.op("Clip", node -> node.give(
        Formulas.clip(node.in(0, node.type()), node.attrs().getDouble("x_min"), node.attrs().getDouble("x_max"))));
    registry.op("LogicalNot", node -> node.give(Formulas.not(node.in(0))));
    registry.op("Isnan", test(x -> x.getSameDiff().math().isNaN(x), false));
    registry.op("Isinf", test(x -> x.getSameDiff().math().isInfinite(x), false));
    registry.op("Isfinite", test(x -> x.getSameDiff().math().isFinite(x), true));
    registry.op("Isposinf", test(x -> x.eq(scalar(x, Double.POSITIVE_INFINITY)), false));
    registry.op("Isneginf", test(x -> x.eq(scalar(x, Double.NEGATIVE_INFINITY)), false));
    registry.op("NanToNum", ElementwiseOps::nanToNum);
    registry.op("Cast", node -> node.give(node.in(0)));
    registry.op("Real", node -> node.give(node.in(0)));
    registry.op("Conjugate", node -> node.give(node.in(0)));
    registerPowers(registry);
    registerTrigonometry(registry);
  }

  private static void registerPowers(SameDiffRegistry registry) {
    registry.op("Sqrt", map(x -> x.getSameDiff().math().sqrt(x)));
    registry.op("Rsqrt", map(x -> x.getSameDiff().math().rsqrt(x)));
    registry.op("Exp", map(x -> x.getSameDiff().math().exp(x)));
    registry.op("Exp2", map(x -> x.getSameDiff().math().pow(scalar(x, 2), x)));
    registry.op("Expm1", map(Formulas::expm1));
    registry.op("Log", map(ElementwiseOps::log));
    registry.op("Log2", map(x -> log(x).div(scalar(x, Math.log(2)))));
    registry.op("Log10", map(x -> log(x).div(scalar(x, Math.log(10)))));
    registry.op("Log1p", map(Formulas::log1p));
    registry.op("Erf", map(x -> inDouble(x, w -> w.getSameDiff().math().erf(w))));
    registry.op("Erfc", map(x -> inDouble(x, w -> w.getSameDiff().math().erfc(w))));
  }

  private static void registerTrigonometry(SameDiffRegistry registry) {
    registry.op("Sin", map(x -> x.getSameDiff().math().sin(x)));
    registry.op("Cos", map(x -> x.getSameDiff().math().cos(x)));
    registry.op("Tan", map(x -> inDouble(x, w -> w.getSameDiff().math().tan(w))));
    registry.op("Arcsin", map(x -> inDouble(x, w -> w.getSameDiff().math().asin(w))));
    registry.op("Arccos", map(x -> inDouble(x, w -> w.getSameDiff().math().acos(w))));
    registry.op("Arctan", map(x -> inDouble(x, w -> w.getSameDiff().math().atan(w))));
    registry.op("Sinh", map(x -> inDouble(x, w -> w.getSameDiff().math().sinh(w))));
    registry.op("Cosh", map(x -> inDouble(x, w -> w.getSameDiff().math().cosh(w))));
    registry.op("Tanh", map(x -> x.getSameDiff().math().tanh(x)));
    registry.op("Arcsinh", map(x -> inDouble(x, ElementwiseOps::arcsinh)));
    registry.op("Arccosh", map(x -> inDouble(x, w -> w.getSameDiff().math().acosh(w))));
    registry.op("Arctanh", map(x -> inDouble(x, w -> w.getSameDiff().math().atanh(w))));
    registry.op("Deg2rad", map(x -> x.mul(scalar(x, Math.PI / 180))));
    registry.op("Rad2deg", map(x -> x.mul(scalar(x, 180 / Math.PI))));
  }

  /** An op on the input cast to the output's type. */
  static SameDiffMapping map(UnaryOperator<SDVariable> formula) {
    return node -> node.give(formula.apply(node.in(0, node.type())));
  }

  /** Rounding of integers changes nothing. */
  private static SameDiffMapping rounded(UnaryOperator<SDVariable> formula) {
    return map(x -> isFloat(x) ? formula.apply(x) : x);
  }

  private static SDVariable absolute(SDVariable x) {
    return isFloat(x) || x.dataType().isSigned() ? x.getSameDiff().math().abs(x) : x;
  }

  private static SDVariable log(SDVariable x) {
    return x.getSameDiff().math().log(x);
  }

  /** {@code Round}: half to even, by {@code rint}; SameDiff's {@code round} rounds halves away from zero. */
  private static void round(SameDiffNode node) {
    SDVariable x = node.in(0, node.type());
    long decimals = node.attrs().getLong("decimals", 0);
    if (!isFloat(x)) {
      if (decimals < 0) {
        throw new Refusal("negative decimals of integers");
      }
      node.give(x);
    } else if (decimals == 0) {
      node.give(rint(x));
    } else {
      SDVariable factor = scalar(x, Math.pow(10, decimals));
      node.give(rint(x.mul(factor)).div(factor));
    }
  }

  private static SDVariable rint(SDVariable x) {
    return new Rint(x.getSameDiff(), x, false).outputVariable();
  }

  private static SameDiffMapping test(UnaryOperator<SDVariable> formula, boolean ofIntegers) {
    return node -> {
      SDVariable x = node.in(0);
      if (isFloat(x)) {
        node.give(formula.apply(x));
      } else {
        SDVariable whole = cast(x, DataType.INT32);
        node.give(ofIntegers ? whole.eq(whole) : whole.neq(whole));
      }
    };
  }

  private static void nanToNum(SameDiffNode node) {
    SDVariable x = node.in(0);
    if (isFloat(x)) {
      SameDiff sd = node.sd();
      double largest = x.dataType() == DataType.FLOAT ? Float.MAX_VALUE : Double.MAX_VALUE;
      if (x.dataType() != DataType.FLOAT && x.dataType() != DataType.DOUBLE) {
        throw new Refusal("half precision");
      }
      SDVariable high = Formulas.where(x.eq(scalar(x, Double.POSITIVE_INFINITY)), scalar(x, node.attrs().getDouble("posinf", largest)), x);
      SDVariable low = Formulas.where(x.eq(scalar(x, Double.NEGATIVE_INFINITY)), scalar(x, node.attrs().getDouble("neginf", -largest)), high);
      x = Formulas.where(sd.math().isNaN(x), scalar(x, node.attrs().getDouble("nan", 0)), low);
    }
    node.give(x);
  }

  /** Of the absolute value, with the sign put back: ND4J's formula cancels for negative numbers. */
  private static SDVariable arcsinh(SDVariable x) {
    SameDiff sd = x.getSameDiff();
    return sd.math().asinh(sd.math().abs(x)).mul(Formulas.sign(x));
  }
}
