package io.kbridge.train.gradient;

import io.kbridge.graph.ElementType;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.List;

/** Rules of operations on each element of one array. */
public final class ElementwiseRules implements GradientRules {
  /** Makes the family; for the service loader. */
  public ElementwiseRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.zero("Floor", "Ceil", "Sign", "Trunc", "Round", "LogicalNot", "Isnan", "Isinf", "Isfinite", "Isposinf", "Isneginf");
    registry.zero("StopGradient", "RandomUniform", "RandomNormal", "RandomTruncatedNormal", "RandomInt", "RandomGamma", "RandomBeta");
    registry.unary("Negative", (e, x, y, g) -> e.neg(g));
    registry.unary("Absolute", (e, x, y, g) -> e.mul(g, e.sign(x)));
    registry.unary("Fabs", (e, x, y, g) -> e.mul(g, e.sign(x)));
    registry.unary("Square", (e, x, y, g) -> e.mul(g, e.mul(x, 2)));
    registry.unary("Reciprocal", (e, x, y, g) -> e.neg(e.mul(g, e.square(y))));
    registry.unary("Real", (e, x, y, g) -> g);
    registry.unary("Conjugate", (e, x, y, g) -> g);
    registry.unary("Cast", (e, x, y, g) -> g);
    registry.rule("SaturateCast", ElementwiseRules::saturateCast);
    registry.rule("Clip", c -> c.give(0, clip(c.e(), c.typedInput(0), c.gradient(0), bound(c, "x_min"), bound(c, "x_max"))));
    registry.unary("NanToNum", (e, x, y, g) -> e.where(finite(e, x), g, e.constant(g.type(), 0)));
    powersAndLogarithms(registry);
    trigonometry(registry);
  }

  private static void powersAndLogarithms(RuleRegistry registry) {
    registry.unary("Sqrt", (e, x, y, g) -> unlessZero(e, g, e.div(e.mul(g, 0.5), y)));
    registry.unary("Rsqrt", (e, x, y, g) -> unlessZero(e, g, e.mul(e.mul(g, -0.5), e.mul(e.square(y), y))));
    registry.unary("Exp", (e, x, y, g) -> e.mul(g, y));
    registry.unary("Exp2", (e, x, y, g) -> e.mul(g, e.mul(y, Math.log(2))));
    registry.unary("Expm1", (e, x, y, g) -> e.mul(g, e.exp(x)));
    registry.unary("Log", (e, x, y, g) -> e.mul(g, e.reciprocal(x)));
    registry.unary("Log2", (e, x, y, g) -> e.mul(e.div(g, Math.log(2)), e.reciprocal(x)));
    registry.unary("Log10", (e, x, y, g) -> e.mul(e.div(g, Math.log(10)), e.reciprocal(x)));
    registry.unary("Log1p", (e, x, y, g) -> e.mul(g, e.reciprocal(e.add(x, 1))));
    registry.unary("Erf", (e, x, y, g) -> e.mul(g, e.mul(e.exp(e.neg(e.square(x))), 2 / Math.sqrt(Math.PI))));
    registry.unary("Erfc", (e, x, y, g) -> e.mul(g, e.mul(e.exp(e.neg(e.square(x))), -2 / Math.sqrt(Math.PI))));
    registry.unary("Erfinv", (e, x, y, g) -> e.mul(g, e.mul(e.exp(e.square(y)), Math.sqrt(Math.PI) / 2)));
  }

  private static void trigonometry(RuleRegistry registry) {
    registry.unary("Sin", (e, x, y, g) -> e.mul(g, e.unary("Cos", x)));
    registry.unary("Cos", (e, x, y, g) -> e.neg(e.mul(g, e.unary("Sin", x))));
    registry.unary("Tan", (e, x, y, g) -> e.mul(g, e.square(e.reciprocal(e.unary("Cos", x)))));
    registry.unary("Arcsin", (e, x, y, g) -> e.mul(g, inverseRoot(e, e.sub(e.constant(x.type(), 1), e.square(x)))));
    registry.unary("Arccos", (e, x, y, g) -> e.neg(e.mul(g, inverseRoot(e, e.sub(e.constant(x.type(), 1), e.square(x))))));
    registry.unary("Arctan", (e, x, y, g) -> e.mul(g, e.reciprocal(e.add(e.square(x), 1))));
    registry.unary("Sinh", (e, x, y, g) -> e.mul(g, e.unary("Cosh", x)));
    registry.unary("Cosh", (e, x, y, g) -> e.mul(g, e.unary("Sinh", x)));
    registry.unary("Tanh", (e, x, y, g) -> e.binary("TanhGrad", g, y));
    registry.unary("Arcsinh", (e, x, y, g) -> e.div(g, e.unary("Cosh", y)));
    registry.unary("Arccosh", (e, x, y, g) -> e.div(g, e.unary("Sinh", y)));
    registry.unary("Arctanh", (e, x, y, g) -> e.mul(g, e.reciprocal(e.sub(e.constant(x.type(), 1), e.square(x)))));
    registry.unary("Deg2rad", (e, x, y, g) -> e.mul(g, Math.PI / 180));
    registry.unary("Rad2deg", (e, x, y, g) -> e.mul(g, 180 / Math.PI));
  }

  /** TensorFlow's roots pass a gradient of 0 on as 0, also where their slope is infinite. */
  private static Sym unlessZero(Emitter e, Sym g, Sym product) {
    return e.where(e.compare("Equal", g, 0), g, product);
  }

  private static Sym inverseRoot(Emitter e, Sym x) {
    return e.reciprocal(e.sqrt(x));
  }

  private static Sym finite(Emitter e, Sym x) {
    return e.node("Isfinite", List.of(x), Emitter.attrs(), ElementType.BOOL, x.shape());
  }

  private static double bound(GradientContext c, String name) {
    return c.attrs().getDouble(name);
  }

  /** The gradient inside of the bounds and on them; zero outside. */
  static Sym clip(Emitter e, Sym x, Sym g, double low, double high) {
    Sym zero = e.constant(g.type(), 0);
    return e.where(e.compare("Less", x, low), zero, e.where(e.compare("Greater", x, high), zero, g));
  }

  /** {@code SaturateCast}: a clip only where the new type holds less. */
  private static void saturateCast(GradientContext c) {
    Sym x = c.input(0);
    Sym g = c.e().cast(c.gradient(0), x.type());
    ElementType type = c.output(0).type();
    double high = type == ElementType.FLOAT16 ? 65504 : Double.POSITIVE_INFINITY;
    c.give(0, type.bytes() < x.type().bytes() && Double.isFinite(high) ? clip(c.e(), x, g, -high, high) : g);
  }
}
