package io.kbridge.plan.nd4j;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.stream.LongStream;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.floating.RSqrt;
import org.nd4j.linalg.api.ops.impl.transforms.same.Abs;

/** Normalisations and the statistics they use. */
public final class Normalizations implements OpMappings {
  private static final double KERAS_EPSILON = 1e-7;

  /** Makes the family; for the service loader. */
  public Normalizations() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("BatchNorm", Normalizations::batchNorm);
    registry.op("LayerNorm", Normalizations::layerNorm);
    registry.op("RMSNorm", Normalizations::rmsNorm);
    registry.op("Normalize", Normalizations::normalize);
    registry.op("Moments", Normalizations::moments);
  }

  /**
   * {@code BatchNorm} with given statistics: ND4J's {@code batchnorm} for any axis. Keras's inputs are x, mean, variance, offset,
   * scale; ND4J wants the scale before the offset.
   */
  private static Step batchNorm(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    DataType type = z.dataType();
    boolean offset = context.hasInput(3);
    boolean scale = context.hasInput(4);
    INDArray[] inputs = new INDArray[3 + (offset ? 1 : 0) + (scale ? 1 : 0)];
    for (int i = 0; i < 3; i++) {
      inputs[i] = k.input(i, type);
    }
    if (scale) {
      inputs[3] = k.input(4, type);
    }
    if (offset) {
      inputs[inputs.length - 1] = k.input(3, type);
    }
    return k.op("batchnorm")
        .in(inputs)
        .out(z)
        .ints(scale ? 1 : 0, offset ? 1 : 0, context.attrs().getInt("axis"))
        .floats(context.attrs().getDouble("epsilon", 1e-3))
        .add()
        .step();
  }

  /** {@code LayerNorm} by primitives: ND4J's {@code layer_norm} has no epsilon. Half precision is computed in float32. */
  private static Step layerNorm(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    DataType type = computing(z.dataType());
    INDArray x = k.input(0, type);
    long[] axes = axes(context, "axis");
    INDArray mean = k.scratch(type, Shapes.reduce(x.shape(), axes, true));
    INDArray inverse = k.scratchLike(mean);
    INDArray centred = k.scratchLike(x);
    variance(k, x, mean, centred, inverse, axes);
    inverseRoot(k, inverse, context.attrs().getDouble("epsilon", KERAS_EPSILON));
    INDArray y = z.dataType() == type ? z : k.scratchLike(x);
    boolean scaling = context.attrs().getBoolean("rms_scaling", false);
    k.binary("multiply", scaling ? x : centred, inverse, y);
    parameter(context, k, "multiply", 1, y, axes);
    if (!scaling) {
      parameter(context, k, "add", 2, y, axes);
    }
    return (y == z ? k : k.cast(y, z)).step();
  }

  /** Adds {@code y = y op parameter}, the parameter along the normalised axes. */
  private static void parameter(OpContext context, Kernel k, String op, int input, INDArray y, long[] axes) {
    if (context.hasInput(input)) {
      INDArray p = k.input(input, y.dataType());
      if (p.rank() != y.rank()) {
        long[] shape = Shapes.ones(y.rank());
        for (long axis : axes) {
          shape[(int) axis] = y.size((int) axis);
        }
        p = Views.reshape(p, shape);
      }
      k.binary(op, y, p, y);
    }
  }

  /** {@code RMSNorm} by primitives; half precision is computed in float32. */
  private static Step rmsNorm(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    DataType type = computing(z.dataType());
    INDArray x = k.input(0, type);
    long[] axes = axes(context, "axis");
    INDArray square = k.scratchLike(x);
    INDArray inverse = k.scratch(type, Shapes.reduce(x.shape(), axes, true));
    Reductions.add(k.binary("multiply", x, x, square), "reduce_mean", square, inverse, axes);
    inverseRoot(k, inverse, context.attrs().getDouble("epsilon", KERAS_EPSILON));
    INDArray y = z.dataType() == type ? z : k.scratchLike(x);
    k.binary("multiply", x, inverse, y);
    if (context.hasInput(1)) {
      k.binary("multiply", y, k.input(1, type), y);
    }
    return (y == z ? k : k.cast(y, z)).step();
  }

  /** {@code Normalize}: divided by the norm of one axis or of several, which is taken as at least epsilon. */
  private static Step normalize(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    INDArray x = k.input(0, z.dataType());
    long[] axes = axes(context, "axis");
    double epsilon = context.attrs().getDouble("epsilon", KERAS_EPSILON);
    INDArray size = k.scratchLike(x);
    INDArray norm = k.scratch(z.dataType(), Shapes.reduce(x.shape(), axes, true));
    long order = context.attrs().getLong("order", 2);
    if (order == 2) {
      Reductions.add(k.binary("multiply", x, x, size), "reduce_sum", size, norm, axes);
      k.legacy(new RSqrt(norm, norm)).binary("minimum", norm, 1 / epsilon, norm);
      return k.binary("multiply", x, norm, z).step();
    }
    k.legacy(new Abs(x, size));
    if (order != 1) {
      k.binary("Pow", size, order, size);
    }
    Reductions.add(k, "reduce_sum", size, norm, axes);
    if (order != 1) {
      k.binary("Pow", norm, 1.0 / order, norm);
    }
    return k.binary("maximum", norm, epsilon, norm).binary("divide", x, norm, z).step();
  }

  /** {@code Moments}: mean and variance (not corrected); half precision is computed in float32 and clipped to its range. */
  private static Step moments(OpContext context) {
    Kernel k = new Kernel(context);
    long[] axes = axes(context, "axes");
    boolean keep = context.attrs().getBoolean("keepdims", false);
    long[] shape = Shapes.reduce(context.input(0).shape(), axes, keep);
    INDArray[] z = {context.allocate(0, shape), context.allocate(1, shape)};
    DataType type = computing(z[0].dataType());
    INDArray x = k.input(0, type);
    INDArray mean = k.scratch(type, Shapes.reduce(x.shape(), axes, true));
    INDArray variance = k.scratchLike(mean);
    variance(k, x, mean, k.scratchLike(x), variance, axes);
    INDArray[] found = {mean, variance};
    for (int i = 0; i < 2; i++) {
      INDArray value = Views.reshape(found[i], shape);
      if (type == z[i].dataType()) {
        k.copy(value, z[i]);
      } else {
        INDArray clipped = k.scratchLike(value);
        double largest = Elementwise.largest(z[i].dataType());
        Elementwise.clip(k, value, clipped, -largest, largest);
        k.cast(clipped, z[i]);
      }
    }
    return k.step();
  }

  /** Adds mean, deviations and variance, in two passes as TensorFlow does: ND4J's one-pass forms lose digits. */
  static void variance(Kernel k, INDArray x, INDArray mean, INDArray centred, INDArray variance, long... axes) {
    Reductions.add(k, "reduce_mean", x, mean, axes);
    k.binary("subtract", x, mean, centred);
    INDArray square = k.scratchLike(x);
    Reductions.add(k.binary("multiply", centred, centred, square), "reduce_mean", square, variance, axes);
  }

  private static void inverseRoot(Kernel k, INDArray x, double epsilon) {
    k.binary("add", x, epsilon, x).legacy(new RSqrt(x, x));
  }

  private static DataType computing(DataType type) {
    return type == DataType.FLOAT16 || type == DataType.BFLOAT16 ? DataType.FLOAT : type;
  }

  /** Reads axes that are one integer or a list. */
  static long[] axes(OpContext context, String name) {
    JsonNode axes = context.attrs().json(name);
    return axes.isIntegralNumber()
        ? new long[] {axes.longValue()}
        : LongStream.of(context.attrs().getLongs(name)).sorted().toArray();
  }
}
