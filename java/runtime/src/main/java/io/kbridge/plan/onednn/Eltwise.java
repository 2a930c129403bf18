package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.algorithm;

import io.kbridge.graph.Attributes;
import io.kbridge.graph.GraphNode;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** An element-by-element function of oneDNN, with its two numbers. Immutable. */
final class Eltwise {
  private static final float SELU_SCALE = 1.0507009873554805f;
  private static final float SELU_ALPHA = 1.6732632423543772f;
  private static final Map<String, Function<Attributes, List<Eltwise>>> OPS = new HashMap<>();

  static {
    op("Relu", algorithm.eltwise_relu, 0, 0);
    op("Relu6", algorithm.eltwise_bounded_relu, 6, 0);
    op("Sigmoid", algorithm.eltwise_logistic, 0, 0);
    op("Tanh", algorithm.eltwise_tanh, 0, 0);
    op("Silu", algorithm.eltwise_swish, 1, 0);
    op("HardTanh", algorithm.eltwise_clip, -1, 1);
    op("Exp", algorithm.eltwise_exp, 0, 0);
    op("Sqrt", algorithm.eltwise_sqrt, 0, 0);
    op("Square", algorithm.eltwise_square, 0, 0);
    op("Absolute", algorithm.eltwise_abs, 0, 0);
    op("Abs", algorithm.eltwise_abs, 0, 0);
    op("Negative", algorithm.eltwise_linear, -1, 0);
    op("HardSilu", algorithm.eltwise_hardswish, 0, 0);
    op("LeakyRelu", attrs -> List.of(of(algorithm.eltwise_relu, (float) attrs.getDouble("negative_slope", 0.2), 0)));
    op("Elu", attrs -> List.of(of(algorithm.eltwise_elu, (float) attrs.getDouble("alpha", 1), 0)));
    op("Gelu", attrs -> List.of(of(gelu(attrs), 0, 0)));
    op("Round", attrs -> attrs.getLong("decimals", 0) == 0 ? List.of(of(algorithm.eltwise_round, 0, 0)) : null);
    op("Clip", attrs -> isToSmall(attrs) ? List.of(of(algorithm.eltwise_clip, -Numbers.LARGEST, Numbers.LARGEST)) : null);
    op("HardSigmoid", attrs -> List.of(linear(1f / 6, 0.5f), of(algorithm.eltwise_clip, 0, 1)));
    op("Selu", attrs -> List.of(of(algorithm.eltwise_elu, SELU_ALPHA, 0), linear(SELU_SCALE, 0)));
  }

  private final algorithm function;
  private final float alpha;
  private final float beta;

  private Eltwise(algorithm function, float alpha, float beta) {
    this.function = function;
    this.alpha = alpha;
    this.beta = beta;
  }

  /**
   * Finds the functions that compute an op, one after the other.
   *
   * @param node a node
   * @return the functions, or null if the op is not one of these
   */
  static List<Eltwise> of(GraphNode node) {
    Function<Attributes, List<Eltwise>> maker = OPS.get(node.op());
    return maker == null || node.inputs().size() != 1 ? null : maker.apply(node.attrs());
  }

  /** Returns the names of these ops. */
  static Iterable<String> names() {
    return OPS.keySet();
  }

  /** Makes {@code scale * x + shift}. */
  static Eltwise linear(float scale, float shift) {
    return of(algorithm.eltwise_linear, scale, shift);
  }

  /** Makes tanh. */
  static Eltwise tanh() {
    return of(algorithm.eltwise_tanh, 0, 0);
  }

  /** Makes squares. */
  static Eltwise square() {
    return of(algorithm.eltwise_square, 0, 0);
  }

  /** Returns oneDNN's function. */
  algorithm function() {
    return function;
  }

  /** Returns its first number. */
  float alpha() {
    return alpha;
  }

  /** Returns its second number. */
  float beta() {
    return beta;
  }

  private static Eltwise of(algorithm function, float alpha, float beta) {
    return new Eltwise(function, alpha, beta);
  }

  private static algorithm gelu(Attributes attrs) {
    return attrs.getBoolean("approximate", true) ? algorithm.eltwise_gelu_tanh : algorithm.eltwise_gelu_erf;
  }

  /** Tells whether numbers are clipped before they become integers of 8 bits. Elsewhere a NaN has to stay, which oneDNN does not let it. */
  private static boolean isToSmall(Attributes attrs) {
    return attrs.getDouble("x_min", 0) == -Numbers.LARGEST && attrs.getDouble("x_max", 0) == Numbers.LARGEST;
  }

  private static void op(String name, algorithm function, float alpha, float beta) {
    op(name, attrs -> List.of(of(function, alpha, beta)));
  }

  private static void op(String name, Function<Attributes, List<Eltwise>> maker) {
    OPS.put(name, maker);
  }
}
