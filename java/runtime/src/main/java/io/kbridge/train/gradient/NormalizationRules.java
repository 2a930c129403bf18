package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Rules of normalisations and the statistics they use: through Keras's formulas for them. */
public final class NormalizationRules implements GradientRules {
  private static final double KERAS_EPSILON = 1e-7;

  /** Makes the family; for the service loader. */
  public NormalizationRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.rule("BatchNorm", NormalizationRules::batchNorm);
    registry.composed("LayerNorm", NormalizationRules::layerNorm);
    registry.composed("RMSNorm", NormalizationRules::rmsNorm);
    registry.composed("Normalize", NormalizationRules::normalize);
    registry.rule("Moments", NormalizationRules::moments);
  }

  /** Half precision is computed in float32. */
  private static ElementType computing(Sym x) {
    return x.type() == ElementType.FLOAT16 || x.type() == ElementType.BFLOAT16 ? ElementType.FLOAT32 : x.type();
  }

  private static Sym inverseRoot(Emitter e, Sym x, double epsilon) {
    return e.unary("Rsqrt", e.add(x, epsilon));
  }

  /** Inputs are x, mean, variance, offset, scale; the last four along one axis. */
  private static void batchNorm(GradientContext c) {
    if (!normalizesByItself(c)) {
      c.through(NormalizationRules::batchNormFormula);
      return;
    }
    // NB: the whole of it in one operation, by way of mean and variance too, which therefore get no gradients of their own.
    Emitter e = c.e();
    Sym x = c.input(0);
    int axis = c.attrs().getInt("axis");
    long channels = x.size(axis);
    Sym scale = c.hasInput(4) ? c.input(4) : e.full(x.type(), 1, channels);
    List<Sym> found = new ArrayList<>();
    found.add(new Sym(e.fresh("BatchNormGrad"), x.type(), x.shape()));
    found.add(new Sym(e.fresh("scale"), x.type(), new long[] {channels}));
    found.add(new Sym(e.fresh("offset"), x.type(), new long[] {channels}));
    ObjectNode attrs = Emitter.attrs().put("axis", axis).put("epsilon", c.attrs().getDouble("epsilon", 1e-3));
    e.add("BatchNormGrad", List.of(x, c.input(1), c.input(2), scale, c.gradient(0)), attrs, found, List.of());
    c.give(0, found.get(0));
    if (c.hasInput(4)) {
      c.give(4, e.reshape(found.get(1), c.input(4).shape()));
    }
    if (c.hasInput(3)) {
      c.give(3, e.reshape(found.get(2), c.input(3).shape()));
    }
  }

  /** Tells whether mean and variance are those of x itself, over all axes but the one of its channels: training. */
  private static boolean normalizesByItself(GradientContext c) {
    GraphNode moments = c.maker(1);
    if (moments == null || !moments.op().equals("Moments") || !moments.inputs().get(0).equals(c.node().inputs().get(0))) {
      return false;
    }
    List<String> statistics = moments.outputs().stream().map(ValueInfo::name).collect(Collectors.toList());
    ElementType type = c.input(0).type();
    boolean full = type == ElementType.FLOAT32 || type == ElementType.FLOAT64;
    int axis = c.attrs().getInt("axis");
    int[] others = IntStream.range(0, c.input(0).rank()).filter(i -> i != axis).toArray();
    return full
        && statistics.equals(c.node().inputs().subList(1, 3))
        && Arrays.equals(others, ReductionRules.axes(moments.attrs(), "axes"))
        && IntStream.range(1, 5).allMatch(i -> !c.hasInput(i) || c.input(i).type() == type);
  }

  private static List<Sym> batchNormFormula(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.input(0);
    long[] along = new long[x.rank()];
    Arrays.fill(along, 1);
    int axis = c.attrs().getInt("axis");
    along[axis] = x.size(axis);
    Sym[] p = new Sym[5];
    for (int i = 1; i < p.length; i++) {
      p[i] = c.hasInput(i) ? e.reshape(c.typedInput(i), along) : null;
    }
    Sym factor = inverseRoot(e, p[2], c.attrs().getDouble("epsilon", 1e-3));
    factor = p[4] == null ? factor : e.mul(factor, p[4]);
    Sym shift = e.neg(e.mul(p[1], factor));
    shift = p[3] == null ? shift : e.add(shift, p[3]);
    return List.of(e.add(e.mul(x, factor), shift));
  }

  private static List<Sym> layerNorm(GradientContext c) {
    Emitter e = c.e();
    ElementType type = computing(c.output(0));
    Sym x = e.cast(c.input(0), type);
    int[] axes = ReductionRules.axes(c, "axis");
    boolean scaling = c.attrs().getBoolean("rms_scaling", false);
    Sym mean = e.reduce("Mean", x, true, axes);
    Sym centred = e.sub(x, mean);
    Sym factor =
        inverseRoot(e, e.reduce("Mean", e.square(centred), true, axes), c.attrs().getDouble("epsilon", KERAS_EPSILON));
    Sym y = e.mul(scaling ? x : centred, factor);
    y = c.hasInput(1) ? e.mul(y, along(e, e.cast(c.input(1), type), x, axes)) : y;
    y = c.hasInput(2) && !scaling ? e.add(y, along(e, e.cast(c.input(2), type), x, axes)) : y;
    return List.of(e.cast(y, c.output(0).type()));
  }

  private static Sym along(Emitter e, Sym parameter, Sym x, int... axes) {
    if (parameter.rank() == x.rank()) {
      return parameter;
    }
    long[] shape = new long[x.rank()];
    Arrays.fill(shape, 1);
    IntStream.of(axes).forEach(axis -> shape[axis] = x.size(axis));
    return e.reshape(parameter, shape);
  }

  private static List<Sym> rmsNorm(GradientContext c) {
    Emitter e = c.e();
    ElementType type = computing(c.output(0));
    Sym x = e.cast(c.input(0), type);
    Sym mean = e.reduce("Mean", e.square(x), true, ReductionRules.axes(c, "axis"));
    Sym y = e.mul(x, inverseRoot(e, mean, c.attrs().getDouble("epsilon", KERAS_EPSILON)));
    y = c.hasInput(1) ? e.mul(y, e.cast(c.input(1), type)) : y;
    return List.of(e.cast(y, c.output(0).type()));
  }

  private static List<Sym> normalize(GradientContext c) {
    Emitter e = c.e();
    Sym x = c.typedInput(0);
    int[] axes = ReductionRules.axes(c, "axis");
    double epsilon = c.attrs().getDouble("epsilon", KERAS_EPSILON);
    long order = c.attrs().getLong("order", 2);
    if (order == 2) {
      Sym inverse = e.unary("Rsqrt", e.sum(e.square(x), true, axes));
      return List.of(e.mul(x, e.minimum(inverse, 1 / epsilon)));
    }
    Sym sum = e.sum(e.power(e.abs(x), order), true, axes);
    return List.of(e.div(x, e.maximum(e.power(sum, 1.0 / order), epsilon)));
  }

  /** The variance counts as not depending on the mean, which its derivative is zero for. */
  private static void moments(GradientContext c) {
    Emitter e = c.e();
    ElementType type = computing(c.input(0));
    Sym x = e.cast(c.input(0), type);
    int[] axes = ReductionRules.axes(c, "axes");
    long[] kept = x.shape();
    IntStream.of(axes).forEach(axis -> kept[axis] = 1);
    double n = IntStream.of(axes).mapToLong(x::size).reduce(1, Math::multiplyExact);
    Sym sum = e.full(type, 0, 1);
    if (c.hasGradient(0)) {
      sum = e.div(e.reshape(e.cast(c.gradient(0), type), kept), n);
    }
    if (c.hasGradient(1)) {
      Sym mean = computing(c.input(0)) == c.output(0).type() ? e.reshape(c.output(0), kept) : e.reduce("Mean", x, true, axes);
      Sym slope = e.mul(e.div(e.reshape(e.cast(c.gradient(1), type), kept), n), 2);
      sum = e.add(e.mul(e.sub(x, mean), slope), sum);
    }
    c.give(0, e.broadcastTo(e.reshape(sum, sum.length() == 1 ? ones(x.rank()) : sum.shape()), x.shape()));
  }

  private static long[] ones(int rank) {
    long[] ones = new long[rank];
    Arrays.fill(ones, 1);
    return ones;
  }
}
