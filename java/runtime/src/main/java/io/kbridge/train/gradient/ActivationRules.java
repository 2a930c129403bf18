package io.kbridge.train.gradient;

import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.List;

/** Rules of activation functions. */
public final class ActivationRules implements GradientRules {
  private static final double SELU_SCALE = 1.0507009873554804934193349852946;
  private static final double SELU_ALPHA = 1.6732632423543772848170429916717;

  /** Makes the family; for the service loader. */
  public ActivationRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.unary("Relu", (e, x, y, g) -> e.node("ReluGrad", List.of(g, y), Emitter.attrs(), g.type(), g.shape()));
    registry.unary("Relu6", (e, x, y, g) -> between(e, y, g, 0, 6));
    registry.rule("LeakyRelu", ActivationRules::leakyRelu);
    registry.rule("Elu", ActivationRules::elu);
    registry.unary("Selu", ActivationRules::selu);
    registry.composed("Celu", ActivationRules::celu);
    registry.composed("Gelu", ActivationRules::gelu);
    registry.unary("HardSigmoid", (e, x, y, g) -> hardSigmoid(e, x, g));
    registry.unary("HardSilu", (e, x, y, g) -> hardSilu(e, x, g));
    registry.unary("HardTanh", (e, x, y, g) -> ElementwiseRules.clip(e, x, g, -1, 1));
    registry.unary("Sigmoid", (e, x, y, g) -> e.binary("SigmoidGrad", g, y));
    registry.unary("Silu", ActivationRules::silu);
    registry.unary("LogSigmoid", (e, x, y, g) -> e.mul(g, e.sigmoid(e.neg(x))));
    registry.unary("Softplus", (e, x, y, g) -> e.mul(g, e.sigmoid(x)));
    registry.unary("Softsign", (e, x, y, g) -> e.div(g, e.square(e.add(e.abs(x), 1))));
    registry.rule("Squareplus", ActivationRules::squareplus);
    registry.unary("SparseSigmoid", (e, x, y, g) -> between(e, x, e.mul(g, 0.5), -1, 1));
    registry.unary("SparsePlus", ActivationRules::sparsePlus);
    registry.unary("TanhShrink", (e, x, y, g) -> e.mul(g, e.square(e.tanh(x))));
    registry.composed("Glu", ActivationRules::glu);
    registry.rule("Threshold", c -> c.give(0, where(c, c.e().compare("Greater", c.input(0), c.attrs().getDouble("threshold")))));
    registry.rule("HardShrink", ActivationRules::shrink);
    registry.rule("SoftShrink", ActivationRules::shrink);
    registry.rule("Softmax", ActivationRules::softmax);
    registry.rule("LogSoftmax", ActivationRules::logSoftmax);
  }

  /** The gradient where a value is strictly between two numbers. */
  private static Sym between(Emitter e, Sym value, Sym g, double low, double high) {
    Sym zero = e.constant(g.type(), 0);
    return e.where(e.compare("Greater", value, low), e.where(e.compare("Less", value, high), g, zero), zero);
  }

  private static Sym where(GradientContext c, Sym condition) {
    return c.e().where(condition, c.gradient(0), c.e().constant(c.output(0).type(), 0));
  }

  private static void leakyRelu(GradientContext c) {
    Emitter e = c.e();
    Sym slow = e.mul(c.gradient(0), c.attrs().getDouble("negative_slope", 0.2));
    c.give(0, e.where(e.compare("Greater", c.typedInput(0), 0), c.gradient(0), slow));
  }

  private static void elu(GradientContext c) {
    Emitter e = c.e();
    double alpha = c.attrs().getDouble("alpha", 1);
    Sym x = c.typedInput(0);
    Sym curve = e.mul(e.exp(e.minimum(x, 0)), alpha);
    // NB: with another alpha Keras chooses by x > 0, so that the slope at 0 is that of the curve.
    Sym straight = alpha == 1 ? e.compare("GreaterEqual", x, 0) : e.compare("Greater", x, 0);
    c.give(0, e.where(straight, c.gradient(0), e.mul(c.gradient(0), curve)));
  }

  private static Sym selu(Emitter e, Sym x, Sym y, Sym g) {
    Sym curve = e.mul(g, e.add(y, SELU_SCALE * SELU_ALPHA));
    return e.where(e.compare("Less", y, 0), curve, e.mul(g, SELU_SCALE));
  }

  private static List<Sym> celu(GradientContext c) {
    Emitter e = c.e();
    double alpha = c.attrs().getDouble("alpha", 1);
    Sym x = c.typedInput(0);
    Sym curve = e.unary("Expm1", e.div(e.minimum(x, 0), alpha));
    return List.of(e.add(e.maximum(x, 0), e.mul(curve, alpha)));
  }

  private static List<Sym> gelu(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.typedInput(0);
    Sym inner =
        c.attrs().getBoolean("approximate", true)
            ? e.tanh(e.mul(e.add(x, e.mul(e.mul(e.square(x), x), 0.044715)), Math.sqrt(2 / Math.PI)))
            : e.unary("Erf", e.mul(x, Math.sqrt(0.5)));
    return List.of(e.mul(e.mul(x, 0.5), e.add(inner, 1)));
  }

  private static Sym hardSigmoid(Emitter e, Sym x, Sym g) {
    return between(e, e.add(x, 3), e.div(g, 6), 0, 6);
  }

  private static Sym hardSilu(Emitter e, Sym x, Sym g) {
    return e.add(e.mul(g, e.unary("HardSigmoid", x)), hardSigmoid(e, x, e.mul(g, x)));
  }

  private static Sym silu(Emitter e, Sym x, Sym y, Sym g) {
    Sym gate = e.sigmoid(x);
    Sym rest = e.sub(e.constant(x.type(), 1), gate);
    return e.mul(g, e.mul(gate, e.add(e.mul(x, rest), 1)));
  }

  private static void squareplus(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.typedInput(0);
    Sym root = e.sqrt(e.add(e.square(x), c.attrs().getDouble("b", 4)));
    c.give(0, e.mul(c.gradient(0), e.mul(e.add(e.div(x, root), 1), 0.5)));
  }

  private static Sym sparsePlus(Emitter e, Sym x, Sym y, Sym g) {
    Sym bent = e.where(e.compare("Less", x, 1), e.mul(g, e.mul(e.add(x, 1), 0.5)), g);
    return e.where(e.compare("LessEqual", x, -1), e.constant(g.type(), 0), bent);
  }

  private static List<Sym> glu(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    int axis = c.attrs().getInt("axis");
    long half = x.size(axis) / 2;
    return List.of(e.mul(e.slice(x, axis, 0, half), e.sigmoid(e.slice(x, axis, half, half))));
  }

  private static void shrink(GradientContext c) {
    c.give(0, where(c, c.e().compare("Greater", c.e().abs(c.input(0)), c.attrs().getDouble("threshold", 0.5))));
  }

  private static void softmax(GradientContext c) {
    Emitter e = c.e();
    Sym y = c.output(0);
    Sym g = c.gradient(0);
    c.give(0, e.mul(e.sub(g, e.sum(e.mul(g, y), true, c.attrs().getInt("axis"))), y));
  }

  private static void logSoftmax(GradientContext c) {
    Emitter e = c.e();
    Sym g = c.gradient(0);
    c.give(0, e.sub(g, e.mul(e.exp(c.output(0)), e.sum(g, true, c.attrs().getInt("axis")))));
  }
}
