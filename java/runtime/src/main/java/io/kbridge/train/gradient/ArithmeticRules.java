package io.kbridge.train.gradient;

import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.List;

/** Rules of operations on each pair of elements of two arrays, and of choices. */
public final class ArithmeticRules implements GradientRules {
  /** Makes the family; for the service loader. */
  public ArithmeticRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.binary("Add", (e, x, y, z, g) -> pair(g, g));
    registry.binary("Subtract", (e, x, y, z, g) -> pair(g, e.neg(g)));
    registry.binary("Multiply", (e, x, y, z, g) -> pair(e.mul(g, y), e.mul(g, x)));
    registry.binary("Divide", (e, x, y, z, g) -> divide(e, "Divide", x, y, g));
    registry.binary("TrueDivide", (e, x, y, z, g) -> divide(e, "Divide", x, y, g));
    registry.binary("DivideNoNan", (e, x, y, z, g) -> divide(e, "DivideNoNan", x, y, g));
    registry.binary("Mod", (e, x, y, z, g) -> pair(g, e.neg(e.mul(g, e.binary("FloorDivide", x, y)))));
    registry.binary("Power", (e, x, y, z, g) -> power(e, x, y, z, g));
    registry.binary("Maximum", (e, x, y, z, g) -> chosen(e, e.compare("GreaterEqual", x, y), g));
    registry.binary("Minimum", (e, x, y, z, g) -> chosen(e, e.compare("LessEqual", x, y), g));
    registry.binary("Arctan2", (e, x, y, z, g) -> arctan2(e, x, y, g));
    registry.composed("Hypot", ArithmeticRules::hypot);
    registry.composed("Logaddexp", ArithmeticRules::logAddExp);
    registry.rule("Where", ArithmeticRules::where);
    registry.composed("Select", ArithmeticRules::select);
    registry.zero("FloorDivide", "Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "Isclose");
    registry.zero("LogicalAnd", "LogicalOr", "LogicalXor", "BitwiseAnd", "BitwiseOr", "BitwiseXor");
    registry.zero("BitwiseLeftShift", "BitwiseRightShift");
  }

  private static Sym[] pair(Sym ofX, Sym ofY) {
    return new Sym[] {ofX, ofY};
  }

  private static Sym[] divide(Emitter e, String op, Sym x, Sym y, Sym g) {
    return pair(e.binary(op, g, y), e.mul(g, e.binary(op, e.binary(op, e.neg(x), y), y)));
  }

  /** The logarithm counts as 0 where x is not positive, as in TensorFlow. */
  private static Sym[] power(Emitter e, Sym x, Sym y, Sym z, Sym g) {
    Sym positive = e.compare("Greater", x, 0);
    Sym log = e.where(positive, e.log(e.where(positive, x, e.constant(x.type(), 1))), e.constant(x.type(), 0));
    return pair(e.mul(e.mul(g, y), e.power(x, e.sub(y, 1))), e.mul(g, e.mul(z, log)));
  }

  private static Sym[] chosen(Emitter e, Sym first, Sym g) {
    Sym zero = e.constant(g.type(), 0);
    return pair(e.where(first, g, zero), e.where(first, zero, g));
  }

  private static Sym[] arctan2(Emitter e, Sym y, Sym x, Sym g) {
    Sym share = e.div(g, e.add(e.square(x), e.square(y)));
    return pair(e.mul(x, share), e.neg(e.mul(y, share)));
  }

  private static List<Sym> hypot(GradientContext c) {
    Emitter e = c.e();
    Sym x = e.abs(c.typedInput(0));
    Sym y = e.abs(c.typedInput(1));
    Sym most = e.maximum(x, y);
    Sym ratio = e.binary("DivideNoNan", e.minimum(x, y), most);
    return List.of(e.mul(most, e.sqrt(e.add(e.square(ratio), 1))));
  }

  private static List<Sym> logAddExp(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.typedInput(0);
    Sym y = c.typedInput(1);
    Sym near = e.unary("Log1p", e.exp(e.neg(e.abs(e.sub(x, y)))));
    return List.of(e.add(e.maximum(x, y), near));
  }

  private static void where(GradientContext c) {
    Emitter e = c.e();
    Sym zero = e.constant(c.output(0).type(), 0);
    c.giveBroadcast(1, e.where(c.input(0), c.gradient(0), zero));
    c.giveBroadcast(2, e.where(c.input(0), zero, c.gradient(0)));
  }

  /** {@code Select}: conditions, as many choices, the default. */
  private static List<Sym> select(GradientContext c) {
    int n = (c.inputCount() - 1) / 2;
    Sym found = c.e().broadcastTo(c.typedInput(2 * n), c.output(0).shape());
    for (int i = n - 1; i >= 0; i--) {
      found = c.e().where(c.input(i), c.typedInput(n + i), found);
    }
    return List.of(found);
  }
}
