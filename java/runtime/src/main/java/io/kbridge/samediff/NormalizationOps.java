package io.kbridge.samediff;

import static io.kbridge.samediff.Formulas.cast;
import static io.kbridge.samediff.Formulas.precise;
import static io.kbridge.samediff.Formulas.scalar;

import io.kbridge.graph.ValueInfo;
import java.util.Arrays;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;

/** Normalisations by primitives: SameDiff's {@code batchNorm} has no gradient, its {@code layerNorm} no epsilon. */
public final class NormalizationOps implements SameDiffMappings {
  private static final double KERAS_EPSILON = 1e-7;

  /** Makes the family; for the service loader. */
  public NormalizationOps() {}

  @Override
  public void register(SameDiffRegistry registry) {
    registry.op("BatchNorm", NormalizationOps::batchNorm);
    registry.op("LayerNorm", NormalizationOps::layerNorm);
    registry.op("RMSNorm", NormalizationOps::rmsNorm);
    registry.op("Normalize", NormalizationOps::normalize);
    registry.op("Moments", NormalizationOps::moments);
  }

  /** Keras's inputs are x, mean, variance, offset, scale. */
  private static void batchNorm(SameDiffNode node) {
    DataType type = precise(node.type());
    int axis = node.attrs().getInt("axis");
    SDVariable inverse = Formulas.inverseRoot(along(node, 2, axis, type), node.attrs().getDouble("epsilon", 1e-3));
    if (node.has(4)) {
      inverse = inverse.mul(along(node, 4, axis, type));
    }
    SDVariable y = node.in(0, type).sub(along(node, 1, axis, type)).mul(inverse);
    node.give(node.has(3) ? y.add(along(node, 3, axis, type)) : y);
  }

  private static SDVariable along(SameDiffNode node, int input, int axis, DataType type) {
    long[] shape = new long[node.rank(0)];
    Arrays.fill(shape, 1);
    shape[axis] = -1;
    return axis == shape.length - 1 ? node.in(input, type) : node.sd().reshape(node.in(input, type), shape);
  }

  private static void layerNorm(SameDiffNode node) {
    DataType type = precise(node.type());
    int[] axes = node.axes("axis");
    SDVariable x = node.in(0, type);
    SDVariable[] moments = Formulas.moments(x, node.shape(0), axes);
    SDVariable inverse = Formulas.inverseRoot(moments[1], node.attrs().getDouble("epsilon", KERAS_EPSILON));
    boolean scaling = node.attrs().getBoolean("rms_scaling", false);
    SDVariable y = (scaling ? x : x.sub(moments[0])).mul(inverse);
    if (node.has(1)) {
      y = y.mul(parameter(node, 1, axes, type));
    }
    if (node.has(2) && !scaling) {
      y = y.add(parameter(node, 2, axes, type));
    }
    node.give(y);
  }

  /** A parameter, with an axis of size 1 for each that is not normalised. */
  private static SDVariable parameter(SameDiffNode node, int input, int[] axes, DataType type) {
    SDVariable p = node.in(input, type);
    if (node.rank(input) == node.rank(0)) {
      return p;
    }
    long[] shape = new long[node.rank(0)];
    Arrays.fill(shape, 1);
    for (int axis : axes) {
      shape[axis] = node.shape(0)[axis];
      if (shape[axis] == ValueInfo.ANY) {
        throw new Refusal("parameters along an axis of a size that is known at call time only");
      }
    }
    return node.sd().reshape(p, shape);
  }

  private static void rmsNorm(SameDiffNode node) {
    DataType type = precise(node.type());
    SDVariable x = node.in(0, type);
    SDVariable mean = x.mul(x).mean(true, node.axes("axis"));
    SDVariable y = x.mul(Formulas.inverseRoot(mean, node.attrs().getDouble("epsilon", KERAS_EPSILON)));
    node.give(node.has(1) ? y.mul(node.in(1, type)) : y);
  }

  /** Divided by the norm, which is taken as at least epsilon. */
  private static void normalize(SameDiffNode node) {
    SameDiff sd = node.sd();
    SDVariable x = node.in(0, node.type());
    int[] axes = node.axes("axis");
    double epsilon = node.attrs().getDouble("epsilon", KERAS_EPSILON);
    long order = node.attrs().getLong("order", 2);
    if (order == 2) {
      node.give(x.mul(Formulas.atMost(sd.math().rsqrt(x.mul(x).sum(true, axes)), 1 / epsilon)));
      return;
    }
    SDVariable size = sd.math().abs(x);
    SDVariable sum = (order == 1 ? size : sd.math().pow(size, scalar(x, order))).sum(true, axes);
    SDVariable norm = order == 1 ? sum : sd.math().pow(sum, scalar(x, 1.0 / order));
    node.give(x.div(Formulas.atLeast(norm, epsilon)));
  }

  private static void moments(SameDiffNode node) {
    if (precise(node.type()) != node.type()) {
      throw new Refusal("half precision");
    }
    int[] axes = node.axes("axes");
    SDVariable[] found = Formulas.moments(cast(node.in(0), node.type()), node.shape(0), axes);
    boolean keep = node.attrs().getBoolean("keepdims", false);
    for (int i = 0; i < 2; i++) {
      node.give(i, keep ? found[i] : LayoutOps.squeeze(found[i], axes));
    }
  }
}
