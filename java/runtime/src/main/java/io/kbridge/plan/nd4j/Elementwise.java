package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.function.BiFunction;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.Op;
import org.nd4j.linalg.api.ops.impl.transforms.bool.IsFinite;
import org.nd4j.linalg.api.ops.impl.transforms.bool.IsInf;
import org.nd4j.linalg.api.ops.impl.transforms.bool.IsNaN;
import org.nd4j.linalg.api.ops.impl.transforms.floating.RSqrt;
import org.nd4j.linalg.api.ops.impl.transforms.floating.Sqrt;
import org.nd4j.linalg.api.ops.impl.transforms.same.Abs;
import org.nd4j.linalg.api.ops.impl.transforms.same.Ceil;
import org.nd4j.linalg.api.ops.impl.transforms.same.Floor;
import org.nd4j.linalg.api.ops.impl.transforms.same.Negative;
import org.nd4j.linalg.api.ops.impl.transforms.strict.ACos;
import org.nd4j.linalg.api.ops.impl.transforms.strict.ACosh;
import org.nd4j.linalg.api.ops.impl.transforms.strict.ASin;
import org.nd4j.linalg.api.ops.impl.transforms.strict.ASinh;
import org.nd4j.linalg.api.ops.impl.transforms.strict.ATan;
import org.nd4j.linalg.api.ops.impl.transforms.strict.ATanh;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Cos;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Cosh;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Erf;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Erfc;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Exp;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Log;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Rint;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Sin;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Sinh;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Tan;

/** Operations on each element of one array. */
public final class Elementwise implements OpMappings {
  /** Makes the family; for the service loader. */
  public Elementwise() {}

  /** Adds the calls that compute z from x, both of one type and shape. */
  @FunctionalInterface
  interface Formula {
    /**
     * Adds the calls.
     *
     * @param kernel takes them
     * @param x what is read
     * @param z what is written; never x
     */
    void add(Kernel kernel, INDArray x, INDArray z);
  }

  @Override
  public void register(OpRegistry registry) {
    registry.op("Negative", typed(Negative::new));
    registry.op("Absolute", absolute());
    registry.op("Fabs", absolute());
    registry.op("Floor", rounded(Floor::new));
    registry.op("Ceil", rounded(Ceil::new));
    registry.op("Square", map((k, x, z) -> k.binary("multiply", x, x, z)));
    registry.op("Reciprocal", map((k, x, z) -> k.binary("divide", k.scalar(x.dataType(), 1), x, z)));
    registry.op("Sign", map(Elementwise::sign));
    registry.op("Trunc", map(Elementwise::trunc));
    registry.op("Round", Elementwise::round);
    registry.op("Clip", Elementwise::clip);
    registry.op("LogicalNot", Elementwise::not);
    registry.op("Isnan", test(IsNaN::new));
    registry.op("Isinf", test(IsInf::new));
    registry.op("Isfinite", test(IsFinite::new));
    registry.op("Isposinf", infinity(Double.POSITIVE_INFINITY));
    registry.op("Isneginf", infinity(Double.NEGATIVE_INFINITY));
    registry.op("NanToNum", Elementwise::nanToNum);
    registry.op("Cast", Elementwise::cast);
    registry.op("SaturateCast", Elementwise::saturateCast);
    registry.op("Real", Elementwise::same);
    registry.op("Conjugate", Elementwise::same);
    registerPowersAndLogarithms(registry);
    registerTrigonometry(registry);
  }

  private static void registerPowersAndLogarithms(OpRegistry registry) {
    registry.op("Sqrt", typed(Sqrt::new));
    registry.op("Rsqrt", typed(RSqrt::new));
    registry.op("Exp", typed(Exp::new));
    registry.op("Exp2", map((k, x, z) -> k.binary("Pow", k.scalar(x.dataType(), 2), x, z)));
    registry.op("Expm1", map(Elementwise::expm1));
    registry.op("Log", typed(Log::new));
    registry.op("Log2", map((k, x, z) -> scaledLog(k, x, z, Math.log(2))));
    registry.op("Log10", map((k, x, z) -> scaledLog(k, x, z, Math.log(10))));
    registry.op("Log1p", map(Elementwise::log1p));
    registry.op("Erf", inDouble(Erf::new));
    registry.op("Erfc", inDouble(Erfc::new));
  }

  private static void registerTrigonometry(OpRegistry registry) {
    registry.op("Sin", typed(Sin::new));
    registry.op("Cos", typed(Cos::new));
    registry.op("Tan", inDouble(Tan::new));
    registry.op("Arcsin", inDouble(ASin::new));
    registry.op("Arccos", inDouble(ACos::new));
    registry.op("Arctan", inDouble(ATan::new));
    registry.op("Sinh", inDouble(Sinh::new));
    registry.op("Cosh", inDouble(Cosh::new));
    registry.op("Tanh", map(Elementwise::tanh));
    registry.op("Arcsinh", map((k, x, z) -> inDouble(k, x, z, Elementwise::arcsinh)));
    registry.op("Arccosh", inDouble(ACosh::new));
    registry.op("Arctanh", inDouble(ATanh::new));
    registry.op("Deg2rad", map((k, x, z) -> k.binary("multiply", x, Math.PI / 180, z)));
    registry.op("Rad2deg", map((k, x, z) -> k.binary("multiply", x, 180 / Math.PI, z)));
  }

  /** An op whose output has its input's shape; the input is cast to the output's type first if need be. */
  static OpMapping map(Formula formula) {
    return context -> {
      Kernel kernel = new Kernel(context);
      INDArray z = context.allocate(0, context.input(0).shape());
      formula.add(kernel, kernel.input(0, z.dataType()), z);
      return kernel.step();
    };
  }

  private static OpMapping typed(BiFunction<INDArray, INDArray, Op> make) {
    return map((k, x, z) -> k.legacy(make.apply(x, z)));
  }

  /**
   * For operations that ND4J writes out with formulas that lose digits: computed in float64, then rounded.
   */
  private static OpMapping inDouble(BiFunction<INDArray, INDArray, Op> make) {
    return map((k, x, z) -> inDouble(k, x, z, (kernel, wide, result) -> kernel.legacy(make.apply(wide, result))));
  }

  private static void inDouble(Kernel k, INDArray x, INDArray z, Formula formula) {
    if (z.dataType() == DataType.DOUBLE) {
      formula.add(k, x, z);
      return;
    }
    INDArray result = k.scratch(DataType.DOUBLE, x.shape());
    formula.add(k, k.as(x, DataType.DOUBLE), result);
    k.cast(result, z);
  }

  private static OpMapping absolute() {
    return map(
        (k, x, z) -> {
          if (isUnsigned(x.dataType())) {
            k.copy(x, z);
          } else {
            k.legacy(new Abs(x, z));
          }
        });
  }

  static boolean isUnsigned(DataType type) {
    return type == DataType.BOOL || !type.isSigned();
  }

  /** Rounding of integers changes nothing. */
  private static OpMapping rounded(BiFunction<INDArray, INDArray, Op> make) {
    return map(
        (k, x, z) -> {
          if (x.dataType().isFPType()) {
            k.legacy(make.apply(x, z));
          } else {
            k.copy(x, z);
          }
        });
  }

  /** {@code Sign}: the difference of two comparisons; ND4J's {@code sign} gives 0 for NaN, Keras NaN. */
  private static void sign(Kernel k, INDArray x, INDArray z) {
    INDArray zero = k.scalar(x.dataType(), 0);
    INDArray positive = k.scratch(DataType.BOOL, x.shape());
    k.binary("greater", x, zero, positive);
    if (isUnsigned(x.dataType())) {
      k.cast(positive, z);
      return;
    }
    INDArray negative = k.scratch(DataType.BOOL, x.shape());
    INDArray up = k.scratchLike(z);
    INDArray down = k.scratchLike(z);
    k.binary("less", x, zero, negative).cast(positive, up).cast(negative, down).binary("subtract", up, down, z);
    if (x.dataType().isFPType()) {
      Choice.keepNaN(k, x, z);
    }
  }

  /** {@code Trunc}: sign times the floor of the absolute value. */
  private static void trunc(Kernel k, INDArray x, INDArray z) {
    if (!x.dataType().isFPType()) {
      k.copy(x, z);
      return;
    }
    INDArray size = k.scratchLike(x);
    INDArray sign = k.scratchLike(x);
    k.legacy(new Abs(x, size));
    k.legacy(new Floor(size, size));
    sign(k, x, sign);
    k.binary("multiply", size, sign, z);
  }

  /** {@code Round}: ND4J's {@code rint}, half to even; its {@code round} rounds halves away from zero. */
  private static Step round(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    INDArray x = k.input(0, z.dataType());
    long decimals = context.attrs().getLong("decimals", 0);
    if (!x.dataType().isFPType()) {
      if (decimals < 0) {
        throw k.unsupported("decimals of at least 0 for integers", decimals);
      }
      return k.copy(x, z).step();
    }
    if (decimals == 0) {
      return k.legacy(new Rint(x, z)).step();
    }
    double factor = Math.pow(10, decimals);
    INDArray scaled = k.scratchLike(x);
    INDArray whole = k.scratchLike(x);
    return k.binary("multiply", x, factor, scaled).legacy(new Rint(scaled, whole)).binary("divide", whole, factor, z).step();
  }

  /** {@code Clip}: maximum, then minimum; a NaN stays. */
  private static Step clip(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    INDArray x = k.input(0, z.dataType());
    clip(k, x, z, context.attrs().getDouble("x_min"), context.attrs().getDouble("x_max"));
    return k.step();
  }

  static void clip(Kernel k, INDArray x, INDArray z, double low, double high) {
    if (x.dataType().isFPType()) {
      k.atLeast(x, low, z).atMost(z, high, z);
      return;
    }
    INDArray above = k.scratchLike(x);
    k.binary("maximum", x, low, above).binary("minimum", above, high, z);
  }

  private static Step not(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    Choice.not(k, k.input(0, DataType.BOOL), z);
    return k.step();
  }

  private static OpMapping test(BiFunction<INDArray, INDArray, Op> make) {
    return context -> {
      Kernel k = new Kernel(context);
      INDArray x = context.input(0);
      INDArray z = context.allocate(0, x.shape());
      if (x.dataType().isFPType()) {
        return k.legacy(make.apply(x, z)).step();
      }
      return k.fill(z, context.node().op().equals("Isfinite") ? 1 : 0).step();
    };
  }

  private static OpMapping infinity(double value) {
    return context -> {
      Kernel k = new Kernel(context);
      INDArray x = context.input(0);
      INDArray z = context.allocate(0, x.shape());
      if (x.dataType().isFPType()) {
        return k.binary("equals", x, value, z).step();
      }
      return k.fill(z, 0).step();
    };
  }

  private static Step nanToNum(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    INDArray z = context.allocate(0, x.shape());
    if (!x.dataType().isFPType()) {
      return k.copy(x, z).step();
    }
    double largest = largest(x.dataType());
    replace(k, x, z, Double.NaN, context.attrs().getDouble("nan", 0));
    replace(k, z, z, Double.POSITIVE_INFINITY, context.attrs().getDouble("posinf", largest));
    replace(k, z, z, Double.NEGATIVE_INFINITY, context.attrs().getDouble("neginf", -largest));
    return k.step();
  }

  private static void replace(Kernel k, INDArray x, INDArray z, double what, double with) {
    INDArray hit = k.scratch(DataType.BOOL, x.shape());
    INDArray other = k.scratchLike(x);
    if (Double.isNaN(what)) {
      k.legacy(new IsNaN(x, hit));
    } else {
      k.binary("equals", x, what, hit);
    }
    k.fill(other, with);
    Choice.where(k, hit, other, x, z);
  }

  /** The largest finite value of a floating-point type. */
  static double largest(DataType type) {
    if (type == DataType.FLOAT16) {
      return 65504;
    }
    if (type == DataType.BFLOAT16) {
      return Float.intBitsToFloat(0x7f7f0000);
    }
    return type == DataType.FLOAT ? Float.MAX_VALUE : Double.MAX_VALUE;
  }

  /** {@code Cast}: ND4J's {@code cast}, which truncates and takes everything but 0 as true, as TensorFlow does. */
  private static Step cast(OpContext context) {
    INDArray x = context.input(0);
    INDArray z = context.allocate(0, x.shape());
    Kernel k = new Kernel(context);
    return (x.dataType() == z.dataType() ? k.copy(x, z) : k.cast(x, z)).step();
  }

  /** {@code SaturateCast}: clipped to what the type holds, in float64, then cast. */
  private static Step saturateCast(OpContext context) {
    INDArray x = context.input(0);
    INDArray z = context.allocate(0, x.shape());
    Kernel k = new Kernel(context);
    DataType type = z.dataType();
    if (type == DataType.INT64 || type == DataType.UINT64 || x.dataType() == DataType.INT64 || x.dataType() == DataType.UINT64) {
      throw k.unsupported("types of at most 32 bits, or floating-point ones", x.dataType() + " to " + type);
    }
    if (type == DataType.BOOL) {
      return k.cast(x, z).step();
    }
    int bits = type.width() * 8;
    boolean unsigned = isUnsigned(type);
    double high = type.isFPType() ? largest(type) : Math.pow(2, unsigned ? bits : bits - 1) - 1;
    double low = type.isFPType() ? -high : unsigned ? 0 : -Math.pow(2, bits - 1);
    INDArray clipped = k.scratch(DataType.DOUBLE, x.shape());
    clip(k, k.as(x, DataType.DOUBLE), clipped, low, high);
    return k.cast(clipped, z).step();
  }

  /** For ops that change only complex numbers, of which there are none here. */
  private static Step same(OpContext context) {
    context.alias(0, context.input(0));
    return null;
  }

  private static void scaledLog(Kernel k, INDArray x, INDArray z, double logOfBase) {
    INDArray log = k.scratchLike(x);
    k.legacy(new Log(x, log)).binary("divide", log, logOfBase, z);
  }

  /** {@code Expm1} as {@code tanh(x/2) * (exp(x) + 1)}: ND4J's {@code expm1} is {@code exp(x) - 1}, without digits near 0. */
  static void expm1(Kernel k, INDArray x, INDArray z) {
    inDouble(
        k,
        x,
        z,
        (kernel, wide, result) -> {
          INDArray half = kernel.scratchLike(wide);
          INDArray power = kernel.scratchLike(wide);
          kernel.binary("multiply", wide, 0.5, half);
          kernel.op("tanh").in(half).out(half).add();
          kernel.legacy(new Exp(wide, power)).binary("add", power, 1, power).binary("multiply", half, power, result);
        });
  }

  /**
   * {@code Log1p} in float64 as {@code log(u) - ((u - 1) - x) / u} with {@code u = 1 + x}: the second part gives back what the
   * addition rounded off, which ND4J's {@code log1p} loses.
   */
  static void log1p(Kernel k, INDArray x, INDArray z) {
    inDouble(
        k,
        x,
        z,
        (kernel, wide, result) -> {
          INDArray u = kernel.scratchLike(wide);
          INDArray log = kernel.scratchLike(wide);
          INDArray lost = kernel.scratchLike(wide);
          INDArray finite = kernel.scratchLike(wide);
          kernel.binary("add", wide, 1, u).legacy(new Log(u, log));
          // Infinity minus infinity, and 0 / 0 at x = -1, would be NaN.
          kernel.atMost(wide, 1e300, finite).binary("add", finite, 1, u).binary("subtract", u, 1, lost);
          kernel.binary("subtract", lost, finite, lost).binary("add", u, 1e-300, u).binary("divide", lost, u, lost);
          kernel.binary("subtract", log, lost, result);
        });
  }

  /** {@code Tanh}: the operation by name, which oneDNN computes; the typed one takes 27 times longer. */
  static void tanh(Kernel k, INDArray x, INDArray z) {
    k.op("tanh").in(x).out(z).add();
  }

  /** {@code Arcsinh} of the absolute value, with the sign put back: ND4J's formula cancels for negative numbers. */
  private static void arcsinh(Kernel k, INDArray x, INDArray z) {
    INDArray size = k.scratchLike(x);
    INDArray sign = k.scratchLike(x);
    k.legacy(new Abs(x, size)).legacy(new ASinh(size, size));
    sign(k, x, sign);
    k.binary("multiply", size, sign, z);
  }
}
