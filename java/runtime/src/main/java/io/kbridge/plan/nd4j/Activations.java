package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.floating.Sqrt;
import org.nd4j.linalg.api.ops.impl.transforms.same.Abs;
import org.nd4j.linalg.api.ops.impl.transforms.same.Negative;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Erf;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Exp;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Log;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Sigmoid;

/** Activation functions, softmax among them. Each is Keras's formula; the comments name the ND4J operation that is not it. */
public final class Activations implements OpMappings {
  private static final double SELU_SCALE = 1.0507009873554804934193349852946;
  private static final double SELU_ALPHA = 1.6732632423543772848170429916717;

  /** Makes the family; for the service loader. */
  public Activations() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Relu", Elementwise.map(Activations::relu));
    registry.op("Relu6", Elementwise.map((k, x, z) -> Elementwise.clip(k, x, z, 0, 6)));
    registry.op("LeakyRelu", Activations::leakyRelu);
    registry.op("Elu", context -> elu(context, context.attrs().getDouble("alpha", 1)));
    registry.op("Selu", Elementwise.map((k, x, z) -> elu(k, x, z, SELU_SCALE, SELU_SCALE * SELU_ALPHA, 1)));
    registry.op("Celu", context -> celu(context, context.attrs().getDouble("alpha", 1)));
    registry.op("Gelu", Activations::gelu);
    registry.op("HardSigmoid", Elementwise.map(Activations::hardSigmoid));
    registry.op("HardSilu", Elementwise.map((k, x, z) -> times(k, x, z, Activations::hardSigmoid)));
    registry.op("HardTanh", Elementwise.map((k, x, z) -> Elementwise.clip(k, x, z, -1, 1)));
    registry.op("Sigmoid", Elementwise.map(Activations::sigmoid));
    registry.op("Silu", Elementwise.map((k, x, z) -> times(k, x, z, Activations::sigmoid)));
    registry.op("LogSigmoid", Elementwise.map(Activations::logSigmoid));
    registry.op("Softplus", Elementwise.map(Activations::softplus));
    registry.op("Softsign", Elementwise.map(Activations::softsign));
    registry.op("Squareplus", Activations::squareplus);
    registry.op("SparseSigmoid", Elementwise.map(Activations::sparseSigmoid));
    registry.op("SparsePlus", Elementwise.map(Activations::sparsePlus));
    registry.op("TanhShrink", Elementwise.map(Activations::tanhShrink));
    registry.op("Glu", Activations::glu);
    registerThresholds(registry);
    registry.op("Softmax", softmaxes(Activations::softmax));
    registry.op("LogSoftmax", softmaxes(Activations::logSoftmax));
  }

  private static void registerThresholds(OpRegistry registry) {
    registry.op("Threshold", Activations::threshold);
    registry.op("HardShrink", context -> shrink(context, false));
    registry.op("SoftShrink", context -> shrink(context, true));
  }

  static void relu(Kernel k, INDArray x, INDArray z) {
    if (x.dataType().isFPType()) {
      k.atLeast(x, 0, z);
    } else {
      k.binary("maximum", x, 0, z);
    }
  }

  static void sigmoid(Kernel k, INDArray x, INDArray z) {
    k.legacy(new Sigmoid(x, z));
  }

  /** {@code LeakyRelu}: the larger part and the smaller part apart, which holds for any slope. */
  private static Step leakyRelu(OpContext context) {
    double slope = context.attrs().getDouble("negative_slope", 0.2);
    return Elementwise.map(
            (k, x, z) -> {
              INDArray low = k.scratchLike(x);
              INDArray high = k.scratchLike(x);
              k.atMost(x, 0, low).binary("multiply", low, slope, low);
              k.atLeast(x, 0, high).binary("add", low, high, z);
            })
        .compile(context);
  }

  private static Step elu(OpContext context, double alpha) {
    return Elementwise.map((k, x, z) -> elu(k, x, z, 1, alpha, 1)).compile(context);
  }

  private static Step celu(OpContext context, double alpha) {
    return Elementwise.map((k, x, z) -> elu(k, x, z, 1, alpha, alpha)).compile(context);
  }

  /** {@code scale * max(x, 0) + factor * expm1(min(x, 0) / divisor)}; ND4J's {@code elu} has no alpha. */
  private static void elu(Kernel k, INDArray x, INDArray z, double scale, double factor, double divisor) {
    INDArray low = k.scratchLike(x);
    INDArray high = k.scratchLike(x);
    INDArray bent = k.scratchLike(x);
    k.atMost(x, 0, low);
    if (divisor != 1) {
      k.binary("divide", low, divisor, low);
    }
    Elementwise.expm1(k, low, bent);
    k.binary("multiply", bent, factor, bent).atLeast(x, 0, high);
    if (scale != 1) {
      k.binary("multiply", high, scale, high);
    }
    k.binary("add", high, bent, z);
  }

  /** {@code Gelu}: by primitives. ND4J's {@code gelu} is {@code x * sigmoid(1.702 x)}, its {@code precise_gelu} fits neither. */
  private static Step gelu(OpContext context) {
    boolean approximate = context.attrs().getBoolean("approximate", true);
    return Elementwise.map(
            (k, x, z) -> {
              INDArray t = k.scratchLike(x);
              INDArray u = k.scratchLike(x);
              if (approximate) {
                k.binary("multiply", x, x, t).binary("multiply", t, 0.044715, t).binary("add", t, 1, t);
                k.binary("multiply", t, x, t).binary("multiply", t, Math.sqrt(2 / Math.PI), t);
                Elementwise.tanh(k, t, u);
              } else {
                k.binary("multiply", x, Math.sqrt(0.5), t).legacy(new Erf(t, u));
              }
              k.binary("add", u, 1, u).binary("multiply", x, 0.5, t).binary("multiply", t, u, z);
            })
        .compile(context);
  }

  /** {@code HardSigmoid}: {@code relu6(x + 3) / 6}; ND4J's is Keras 1's, {@code 0.2 x + 0.5}. */
  private static void hardSigmoid(Kernel k, INDArray x, INDArray z) {
    INDArray t = k.scratchLike(x);
    INDArray u = k.scratchLike(x);
    k.binary("add", x, 3, t);
    Elementwise.clip(k, t, u, 0, 6);
    k.binary("divide", u, 6, z);
  }

  private static void times(Kernel k, INDArray x, INDArray z, Elementwise.Formula gate) {
    INDArray t = k.scratchLike(x);
    gate.add(k, x, t);
    k.binary("multiply", x, t, z);
  }

  /** {@code Softplus}: {@code max(x, 0) + log1p(exp(-|x|))}; ND4J's overflows above 88. */
  static void softplus(Kernel k, INDArray x, INDArray z) {
    INDArray t = k.scratchLike(x);
    INDArray u = k.scratchLike(x);
    k.legacy(new Abs(x, t)).legacy(new Negative(t, t)).legacy(new Exp(t, t));
    Elementwise.log1p(k, t, u);
    k.atLeast(x, 0, t).binary("add", t, u, z);
  }

  private static void logSigmoid(Kernel k, INDArray x, INDArray z) {
    INDArray t = k.scratchLike(x);
    INDArray u = k.scratchLike(x);
    k.legacy(new Negative(x, t));
    softplus(k, t, u);
    k.legacy(new Negative(u, z));
  }

  private static void softsign(Kernel k, INDArray x, INDArray z) {
    INDArray t = k.scratchLike(x);
    k.legacy(new Abs(x, t)).binary("add", t, 1, t).binary("divide", x, t, z);
  }

  private static Step squareplus(OpContext context) {
    double b = context.attrs().getDouble("b", 4);
    return Elementwise.map(
            (k, x, z) -> {
              INDArray t = k.scratchLike(x);
              k.binary("multiply", x, x, t).binary("add", t, b, t).legacy(new Sqrt(t, t));
              k.binary("add", t, x, t).binary("multiply", t, 0.5, z);
            })
        .compile(context);
  }

  private static void sparseSigmoid(Kernel k, INDArray x, INDArray z) {
    INDArray t = k.scratchLike(x);
    INDArray u = k.scratchLike(x);
    k.binary("add", x, 1, t).binary("multiply", t, 0.5, u);
    Elementwise.clip(k, u, z, 0, 1);
  }

  /** {@code SparsePlus}: 0 up to -1, {@code (x + 1)^2 / 4} up to 1, then x; that is {@code max(x, 0)} outside of (-1, 1). */
  private static void sparsePlus(Kernel k, INDArray x, INDArray z) {
    INDArray near = k.scratchLike(x);
    INDArray square = k.scratchLike(x);
    INDArray beyond = k.scratchLike(x);
    Elementwise.clip(k, x, near, -1, 1);
    k.binary("add", near, 1, square).binary("multiply", square, square, square).binary("multiply", square, 0.25, square);
    k.binary("subtract", x, 1, beyond).atLeast(beyond, 0, beyond).binary("add", square, beyond, z);
  }

  private static void tanhShrink(Kernel k, INDArray x, INDArray z) {
    INDArray t = k.scratchLike(x);
    Elementwise.tanh(k, x, t);
    k.binary("subtract", x, t, z);
  }

  /** {@code Glu}: the first half of an axis times the sigmoid of the second. */
  private static Step glu(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    int axis = context.attrs().getInt("axis");
    long half = x.size(axis) / 2;
    INDArray z = context.allocate(0, Shapes.replace(x.shape(), axis, half));
    INDArray first = k.scratchLike(z);
    INDArray second = k.scratchLike(z);
    k.copy(Views.range(x, axis, 0, half), first).copy(Views.range(x, axis, half, half), second);
    INDArray gate = k.scratchLike(z);
    sigmoid(k, second, gate);
    return k.binary("multiply", first, gate, z).step();
  }

  private static Step threshold(OpContext context) {
    double threshold = context.attrs().getDouble("threshold");
    double otherwise = context.attrs().getDouble("default_value");
    return Elementwise.map(
            (k, x, z) -> {
              INDArray above = k.scratch(DataType.BOOL, x.shape());
              k.binary("greater", x, threshold, above);
              Choice.where(k, above, x, k.scalar(x.dataType(), otherwise), z);
            })
        .compile(context);
  }

  private static Step shrink(OpContext context, boolean soft) {
    double threshold = context.attrs().getDouble("threshold", 0.5);
    return Elementwise.map(
            (k, x, z) -> {
              INDArray zero = k.scalar(x.dataType(), 0);
              INDArray above = k.scratch(DataType.BOOL, x.shape());
              INDArray below = k.scratch(DataType.BOOL, x.shape());
              INDArray high = soft ? k.scratchLike(x) : x;
              INDArray low = soft ? k.scratchLike(x) : x;
              if (soft) {
                k.binary("subtract", x, threshold, high).binary("add", x, threshold, low);
              }
              INDArray part = k.scratchLike(x);
              k.binary("greater", x, threshold, above).binary("less", x, -threshold, below);
              Choice.where(k, below, low, zero, part);
              Choice.where(k, above, high, part, z);
            })
        .compile(context);
  }

  /** Adds the calls of a softmax-like op on one axis. */
  @FunctionalInterface
  private interface AlongAxis {
    void add(Kernel k, INDArray x, INDArray z, int axis);
  }

  private static OpMapping softmaxes(AlongAxis formula) {
    return context ->
        Elementwise.map((k, x, z) -> formula.add(k, x, z, context.attrs().getInt("axis"))).compile(context);
  }

  /** {@code Softmax}: ND4J's {@code softmax}, right on any axis. */
  static void softmax(Kernel k, INDArray x, INDArray z, int axis) {
    k.op("softmax").in(x).out(z).ints(axis).add();
  }

  /** {@code LogSoftmax}: shifted by the maximum; ND4J's {@code log_softmax} is the log of a softmax, -inf for spreads of 100. */
  static void logSoftmax(Kernel k, INDArray x, INDArray z, int axis) {
    INDArray one = k.scratch(x.dataType(), Shapes.replace(x.shape(), axis, 1));
    INDArray shifted = k.scratchLike(x);
    INDArray power = k.scratchLike(x);
    k.reduce("reduce_max", x, one, axis).binary("subtract", x, one, shifted).legacy(new Exp(shifted, power));
    k.reduce("reduce_sum", power, one, axis).legacy(new Log(one, one)).binary("subtract", shifted, one, z);
  }
}
