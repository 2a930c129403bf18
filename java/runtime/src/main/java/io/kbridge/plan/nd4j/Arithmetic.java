package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpMapping;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.floating.Sqrt;
import org.nd4j.linalg.api.ops.impl.transforms.same.Abs;
import org.nd4j.linalg.api.ops.impl.transforms.same.Floor;
import org.nd4j.linalg.api.ops.impl.transforms.same.Negative;
import org.nd4j.linalg.api.ops.impl.transforms.strict.Exp;

/** Operations on each pair of elements of two arrays, with NumPy's broadcasting. */
public final class Arithmetic implements OpMappings {
  /** Makes the family; for the service loader. */
  public Arithmetic() {}

  /** Adds the calls that compute z from x and y. */
  @FunctionalInterface
  private interface Formula {
    void add(Kernel k, INDArray x, INDArray y, INDArray z);
  }

  @Override
  public void register(OpRegistry registry) {
    registry.op("Add", unlessBool("add", "boolean_or"));
    registry.op("Subtract", named("subtract"));
    registry.op("Multiply", unlessBool("multiply", "boolean_and"));
    registry.op("Divide", named("divide"));
    registry.op("TrueDivide", named("divide"));
    registry.op("DivideNoNan", pairs(Arithmetic::divideNoNan));
    registry.op("FloorDivide", pairs(Arithmetic::floorDivide));
    registry.op("Mod", pairs(Arithmetic::mod));
    registry.op("Power", pairs(Arithmetic::power));
    registry.op("Maximum", extremum("maximum", "boolean_or"));
    registry.op("Minimum", extremum("minimum", "boolean_and"));
    registry.op("Arctan2", named("tf_atan2"));
    registry.op("Hypot", pairs(Arithmetic::hypot));
    registry.op("Logaddexp", pairs(Arithmetic::logAddExp));
    registry.op("Equal", comparison("equals"));
    registry.op("NotEqual", comparison("not_equals"));
    registry.op("Less", comparison("less"));
    registry.op("LessEqual", comparison("less_equal"));
    registry.op("Greater", comparison("greater"));
    registry.op("GreaterEqual", comparison("greater_equal"));
    registry.op("LogicalAnd", logical("boolean_and"));
    registry.op("LogicalOr", logical("boolean_or"));
    registry.op("LogicalXor", logical("boolean_xor"));
    registry.op("BitwiseAnd", unlessBool("bitwise_and", "boolean_and"));
    registry.op("BitwiseOr", unlessBool("bitwise_or", "boolean_or"));
    registry.op("BitwiseXor", unlessBool("bitwise_xor", "boolean_xor"));
    registry.op("BitwiseLeftShift", pairs((k, x, y, z) -> shift(k, x, y, z, true)));
    registry.op("BitwiseRightShift", pairs((k, x, y, z) -> shift(k, x, y, z, false)));
  }

  /** Shifts with the sign, one by one as longs: ND4J's {@code shift_bits} knows no broadcasting. */
  private static void shift(Kernel k, INDArray x, INDArray y, INDArray z, boolean left) {
    INDArray numbers = k.scratch(DataType.INT64, z.shape());
    INDArray counts = k.scratch(DataType.INT64, z.shape());
    k.broadcast(k.as(x, DataType.INT64), numbers).broadcast(k.as(y, DataType.INT64), counts);
    int spare = 64 - 8 * z.dataType().width();
    boolean signed = z.dataType().isSigned();
    k.then(
            () -> {
              for (long i = 0; i < numbers.length(); i++) {
                long count = counts.data().getLong(i);
                long value = numbers.data().getLong(i);
                // What leaves the type's own bits on the left is lost.
                long moved = left ? value << count << spare : value >> count << spare;
                numbers.data().put(i, signed ? moved >> spare : moved >>> spare);
              }
            })
        .cast(numbers, z);
  }

  /** An op whose output is what its inputs broadcast to; both are cast to a type first if need be. */
  private static OpMapping pairs(Formula formula) {
    return context -> {
      Kernel k = new Kernel(context);
      INDArray z = context.allocate(0, Shapes.broadcast(context.input(0).shape(), context.input(1).shape()));
      formula.add(k, k.input(0, z.dataType()), k.input(1, z.dataType()), z);
      return k.step();
    };
  }

  private static OpMapping named(String name) {
    return pairs((k, x, y, z) -> k.binary(name, x, y, z));
  }

  private static OpMapping unlessBool(String name, String ofBool) {
    return pairs(
        (k, x, y, z) -> {
          if (z.dataType() == DataType.BOOL) {
            logical(k, ofBool, x, y, z);
          } else {
            k.binary(name, x, y, z);
          }
        });
  }

  /**
   * {@code Maximum}, {@code Minimum}: ND4J's drop a NaN, Keras's keep it. With a constant number the scalar form is used, which keeps
   * it, and which takes an eightieth of the time.
   */
  private static OpMapping extremum(String name, String ofBool) {
    OpMapping general = pairs((k, x, y, z) -> extremum(k, name, ofBool, x, y, z));
    return context -> {
      for (int i = 0; i < 2; i++) {
        INDArray number = context.input(i);
        INDArray x = context.input(1 - i);
        if (number.rank() == 0 && context.isConstant(i) && isNumber(number) && x.dataType() == number.dataType()) {
          Kernel k = new Kernel(context);
          INDArray z = context.allocate(0, x.shape());
          double bound = number.getDouble(0);
          return (name.equals("maximum") ? k.atLeast(x, bound, z) : k.atMost(x, bound, z)).step();
        }
      }
      return general.compile(context);
    };
  }

  private static boolean isNumber(INDArray scalar) {
    return scalar.dataType().isFPType() && !Double.isNaN(scalar.getDouble(0));
  }

  private static void extremum(Kernel k, String name, String ofBool, INDArray x, INDArray y, INDArray z) {
    if (z.dataType() == DataType.BOOL) {
      logical(k, ofBool, x, y, z);
      return;
    }
    k.binary(name, x, y, z);
    if (z.dataType().isFPType()) {
      Choice.keepNaN(k, x, z);
      Choice.keepNaN(k, y, z);
    }
  }

  /** Comparisons; ND4J refuses BOOL, so those are compared as bytes. */
  private static OpMapping comparison(String name) {
    return context -> {
      Kernel k = new Kernel(context);
      INDArray z = context.allocate(0, Shapes.broadcast(context.input(0).shape(), context.input(1).shape()));
      DataType type = context.input(0).dataType();
      type = type == DataType.BOOL ? DataType.INT8 : type;
      return k.binary(name, k.input(0, type), k.input(1, type), z).step();
    };
  }

  private static OpMapping logical(String name) {
    return context -> {
      Kernel k = new Kernel(context);
      INDArray z = context.allocate(0, Shapes.broadcast(context.input(0).shape(), context.input(1).shape()));
      logical(k, name, k.input(0, DataType.BOOL), k.input(1, DataType.BOOL), z);
      return k.step();
    };
  }

  /** Broadcast before the operation: ND4J's logical operations read wrong elements when they broadcast. */
  private static void logical(Kernel k, String name, INDArray x, INDArray y, INDArray z) {
    k.binary(name, Choice.expanded(k, x, z), Choice.expanded(k, y, z), z);
  }

  private static void divideNoNan(Kernel k, INDArray x, INDArray y, INDArray z) {
    INDArray zero = k.scratch(DataType.BOOL, y.shape());
    INDArray quotient = k.scratchLike(z);
    k.binary("equals", y, 0, zero).binary("divide", x, y, quotient);
    Choice.where(k, zero, k.scalar(z.dataType(), 0), quotient, z);
  }

  /**
   * {@code FloorDivide}: the floor of the quotient of what {@code floormod} leaves. ND4J's {@code floordiv} of integers truncates.
   */
  private static void floorDivide(Kernel k, INDArray x, INDArray y, INDArray z) {
    if (z.dataType().isFPType()) {
      k.binary("divide", x, y, z).legacy(new Floor(z, z));
      return;
    }
    INDArray rest = k.scratchLike(z);
    mod(k, x, y, rest);
    k.binary("subtract", x, rest, rest).binary("divide", rest, safeDivisor(k, y), z);
  }

  /** {@code Mod}: ND4J's {@code floormod}; its {@code mod} of integers has C's sign. */
  private static void mod(Kernel k, INDArray x, INDArray y, INDArray z) {
    k.binary("floormod", x, z.dataType().isFPType() ? y : safeDivisor(k, y), z);
  }

  /**
   * An integer divisor without zeros: ND4J's integer division by 0 ends the process. Where Keras has no defined answer, this one
   * divides by 1.
   */
  private static INDArray safeDivisor(Kernel k, INDArray y) {
    INDArray zero = k.scratch(DataType.BOOL, y.shape());
    INDArray safe = k.scratchLike(y);
    k.binary("equals", y, 0, zero).cast(zero, safe).binary("add", y, safe, safe);
    return safe;
  }

  /** {@code Power}: ND4J's {@code Pow}; integers by way of float64, exact up to 2^53. */
  private static void power(Kernel k, INDArray x, INDArray y, INDArray z) {
    if (z.dataType().isFPType()) {
      k.binary("Pow", x, y, z);
      return;
    }
    INDArray wide = k.scratch(DataType.DOUBLE, z.shape());
    k.binary("Pow", k.as(x, DataType.DOUBLE), k.as(y, DataType.DOUBLE), wide).cast(wide, z);
  }

  private static void hypot(Kernel k, INDArray x, INDArray y, INDArray z) {
    INDArray a = k.scratch(DataType.DOUBLE, x.shape());
    INDArray b = k.scratch(DataType.DOUBLE, y.shape());
    INDArray sum = k.scratch(DataType.DOUBLE, z.shape());
    k.cast(x, a).binary("multiply", a, a, a).cast(y, b).binary("multiply", b, b, b);
    k.binary("add", a, b, sum).legacy(new Sqrt(sum, sum)).cast(sum, z);
  }

  /** {@code Logaddexp}: {@code max + log1p(exp(-|x - y|))}; equal infinities give themselves. */
  private static void logAddExp(Kernel k, INDArray x, INDArray y, INDArray z) {
    INDArray most = k.scratchLike(z);
    INDArray t = k.scratchLike(z);
    INDArray u = k.scratchLike(z);
    INDArray same = k.scratch(DataType.BOOL, z.shape());
    k.binary("maximum", x, y, most).binary("subtract", x, y, t).legacy(new Abs(t, t)).legacy(new Negative(t, t));
    k.legacy(new Exp(t, t));
    Elementwise.log1p(k, t, u);
    k.binary("add", most, u, t).binary("equals", x, y, same);
    INDArray doubled = k.scratchLike(z);
    k.binary("add", most, Math.log(2), doubled);
    Choice.where(k, same, doubled, t, z);
  }
}
