package io.kbridge.samediff;

import static io.kbridge.samediff.Formulas.atLeast;
import static io.kbridge.samediff.Formulas.atMost;
import static io.kbridge.samediff.Formulas.clip;
import static io.kbridge.samediff.Formulas.scalar;

import java.util.function.UnaryOperator;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;

/** Activation functions. SameDiff's gelu, hard sigmoid, softplus and log softmax are other functions than Keras's. */
public final class ActivationOps implements SameDiffMappings {
  private static final double SELU_SCALE = 1.0507009873554804934193349852946;
  private static final double SELU_ALPHA = 1.6732632423543772848170429916717;

  /** Makes the family; for the service loader. */
  public ActivationOps() {}

  @Override
  public void register(SameDiffRegistry registry) {
    registry.op("Relu", map(x -> atLeast(x, 0)));
    registry.op("Relu6", map(x -> clip(x, 0, 6)));
    registry.op("LeakyRelu", node -> leaky(node, node.attrs().getDouble("negative_slope", 0.2)));
    registry.op("Elu", node -> elu(node, 1, node.attrs().getDouble("alpha", 1), 1));
    registry.op("Selu", node -> elu(node, SELU_SCALE, SELU_SCALE * SELU_ALPHA, 1));
    registry.op("Celu", node -> elu(node, 1, node.attrs().getDouble("alpha", 1), node.attrs().getDouble("alpha", 1)));
    registry.op("Gelu", ActivationOps::gelu);
    registry.op("HardSigmoid", map(ActivationOps::hardSigmoid));
    registry.op("HardSilu", map(x -> x.mul(hardSigmoid(x))));
    registry.op("HardTanh", map(x -> clip(x, -1, 1)));
    registry.op("Sigmoid", map(ActivationOps::sigmoid));
    registry.op("Silu", map(x -> x.mul(sigmoid(x))));
    registry.op("LogSigmoid", map(x -> Formulas.softplus(x.neg()).neg()));
    registry.op("Softplus", map(Formulas::softplus));
    registry.op("Softsign", map(x -> x.div(x.getSameDiff().math().abs(x).add(1))));
    registry.op("SparseSigmoid", map(x -> clip(x.add(1).mul(0.5), 0, 1)));
    registry.op("TanhShrink", map(x -> x.sub(x.getSameDiff().math().tanh(x))));
    registry.op("SparsePlus", map(ActivationOps::sparsePlus));
    registry.op("Squareplus", node -> squareplus(node, node.attrs().getDouble("b", 4)));
    registry.op("Glu", ActivationOps::glu);
    registry.op("Threshold", ActivationOps::threshold);
    registry.op("HardShrink", node -> shrink(node, false));
    registry.op("SoftShrink", node -> shrink(node, true));
    registry.op("Softmax", node -> node.give(node.sd().nn().softmax(node.in(0, node.type()), node.attrs().getInt("axis"))));
    registry.op("LogSoftmax", node -> node.give(logSoftmax(node, node.attrs().getInt("axis"))));
  }

  private static SameDiffMapping map(UnaryOperator<SDVariable> formula) {
    return ElementwiseOps.map(formula);
  }

  private static SDVariable sigmoid(SDVariable x) {
    return x.getSameDiff().nn().sigmoid(x);
  }

  private static SDVariable hardSigmoid(SDVariable x) {
    return clip(x.add(3), 0, 6).div(scalar(x, 6));
  }

  private static void leaky(SameDiffNode node, double slope) {
    SDVariable x = node.in(0, node.type());
    node.give(atMost(x, 0).mul(scalar(x, slope)).add(atLeast(x, 0)));
  }

  private static void elu(SameDiffNode node, double scale, double factor, double divisor) {
    SDVariable x = node.in(0, node.type());
    SDVariable low = atMost(x, 0);
    SDVariable bent = Formulas.expm1(divisor == 1 ? low : low.div(scalar(x, divisor))).mul(scalar(x, factor));
    SDVariable high = atLeast(x, 0);
    node.give((scale == 1 ? high : high.mul(scalar(x, scale))).add(bent));
  }

  private static void gelu(SameDiffNode node) {
    SameDiff sd = node.sd();
    SDVariable x = node.in(0, node.type());
    SDVariable gate;
    if (node.attrs().getBoolean("approximate", true)) {
      gate = sd.math().tanh(x.mul(x).mul(0.044715).add(1).mul(x).mul(Math.sqrt(2 / Math.PI)));
    } else {
      gate = sd.math().erf(x.mul(Math.sqrt(0.5)));
    }
    node.give(gate.add(1).mul(x.mul(0.5)));
  }

  private static void squareplus(SameDiffNode node, double b) {
    SDVariable x = node.in(0, node.type());
    node.give(node.sd().math().sqrt(x.mul(x).add(b)).add(x).mul(0.5));
  }

  /** 0 up to -1, {@code (x + 1)^2 / 4} up to 1, then x. */
  private static SDVariable sparsePlus(SDVariable x) {
    SDVariable near = clip(x, -1, 1).add(1);
    return near.mul(near).mul(0.25).add(atLeast(x.sub(1), 0));
  }

  private static void glu(SameDiffNode node) {
    int axis = node.attrs().getInt("axis");
    long size = node.shape(0)[axis];
    if (size < 0) {
      throw new Refusal("an axis of a size that is known at call time only");
    }
    SDVariable x = node.in(0, node.type());
    SDVariable first = Formulas.range(x, node.rank(0), axis, 0, size / 2);
    node.give(first.mul(sigmoid(Formulas.range(x, node.rank(0), axis, size / 2, size))));
  }

  private static void threshold(SameDiffNode node) {
    SDVariable x = node.in(0, node.type());
    SDVariable above = x.gt(scalar(x, node.attrs().getDouble("threshold")));
    node.give(Formulas.where(above, x, scalar(x, node.attrs().getDouble("default_value"))));
  }

  private static void shrink(SameDiffNode node, boolean soft) {
    SDVariable x = node.in(0, node.type());
    double threshold = node.attrs().getDouble("threshold", 0.5);
    SDVariable limit = scalar(x, threshold);
    SDVariable low = Formulas.where(x.lt(scalar(x, -threshold)), soft ? x.add(limit) : x, scalar(x, 0));
    node.give(Formulas.where(x.gt(limit), soft ? x.sub(limit) : x, low));
  }

  /** Shifted by the maximum; SameDiff's is the log of a softmax, -inf for spreads of 100. */
  private static SDVariable logSoftmax(SameDiffNode node, int axis) {
    SameDiff sd = node.sd();
    SDVariable x = node.in(0, node.type());
    if (node.shape(0)[axis] == 1) {
      return x.sub(x);
    }
    SDVariable shifted = x.sub(x.max(true, axis));
    return shifted.sub(sd.math().log(sd.math().exp(shifted).sum(true, axis)));
  }
}
