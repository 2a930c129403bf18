package io.kbridge.samediff;

import static io.kbridge.samediff.Formulas.cast;
import static io.kbridge.samediff.Formulas.isFloat;
import static io.kbridge.samediff.Formulas.scalar;

import io.kbridge.graph.ValueInfo;
import java.util.Arrays;
import java.util.function.BinaryOperator;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;

/** Operations on pairs of elements, with broadcasting. */
public final class ArithmeticOps implements SameDiffMappings {
  /** Makes the family; for the service loader. */
  public ArithmeticOps() {}

  @Override
  public void register(SameDiffRegistry registry) {
    registry.op("Add", unlessBool(SDVariable::add, ArithmeticOps::or));
    registry.op("Subtract", unlessBool(SDVariable::sub, ArithmeticOps::xor));
    registry.op("Multiply", unlessBool(SDVariable::mul, ArithmeticOps::and));
    registry.op("Divide", pairs(SDVariable::div));
    registry.op("TrueDivide", pairs(SDVariable::div));
    registry.op("DivideNoNan", pairs((x, y) -> Formulas.where(y.eq(scalar(y, 0)), scalar(x, 0), x.div(y))));
    registry.op("FloorDivide", pairs(ArithmeticOps::floorDivide));
    registry.op("Mod", pairs(ArithmeticOps::mod));
    registry.op("Power", pairs(ArithmeticOps::power));
    registry.op("Maximum", unlessBool((x, y) -> Formulas.extremum(x, y, true), ArithmeticOps::or));
    registry.op("Minimum", unlessBool((x, y) -> Formulas.extremum(x, y, false), ArithmeticOps::and));
    registry.op("Arctan2", pairs((y, x) -> x.getSameDiff().math().atan2(y, x)));
    registry.op("Hypot", pairs(ArithmeticOps::hypot));
    registry.op("Logaddexp", pairs(ArithmeticOps::logAddExp));
    registry.op("Equal", comparison(SDVariable::eq));
    registry.op("NotEqual", comparison(SDVariable::neq));
    registry.op("Less", comparison(SDVariable::lt));
    registry.op("LessEqual", comparison(SDVariable::lte));
    registry.op("Greater", comparison(SDVariable::gt));
    registry.op("GreaterEqual", comparison(SDVariable::gte));
    registry.op("LogicalAnd", logical(ArithmeticOps::and));
    registry.op("LogicalOr", logical(ArithmeticOps::or));
    registry.op("LogicalXor", logical(ArithmeticOps::xor));
    registry.op("Where", node -> node.give(Formulas.where(node.in(0), node.in(1, node.type()), node.in(2, node.type()))));
  }

  /** An op on both inputs cast to the output's type. */
  private static SameDiffMapping pairs(BinaryOperator<SDVariable> formula) {
    return node -> node.give(formula.apply(operand(node, 0, node.type()), operand(node, 1, node.type())));
  }

  /** An input; a vector as a row beside what may be one element in two axes, for which ND4J has no right answer. */
  private static SDVariable operand(SameDiffNode node, int i, DataType type) {
    SDVariable x = node.in(i, type);
    long[] other = node.shape(1 - i);
    boolean one = other.length == 2 && Arrays.stream(other).allMatch(size -> size == 1 || size == ValueInfo.ANY);
    return one && node.rank(i) == 1 ? node.sd().expandDims(x, 0) : x;
  }

  private static SameDiffMapping unlessBool(BinaryOperator<SDVariable> formula, BinaryOperator<SDVariable> ofBool) {
    return node -> (node.type() == DataType.BOOL ? logical(ofBool) : pairs(formula)).build(node);
  }

  /** Comparisons; ND4J refuses BOOL, so those are compared as integers. */
  private static SameDiffMapping comparison(BinaryOperator<SDVariable> formula) {
    return node -> {
      DataType type = node.in(0).dataType() == DataType.BOOL ? DataType.INT32 : node.in(0).dataType();
      node.give(formula.apply(operand(node, 0, type), operand(node, 1, type)));
    };
  }

  /** On zeros and ones: SameDiff's logical operations read wrong elements when they broadcast. */
  private static SameDiffMapping logical(BinaryOperator<SDVariable> formula) {
    return node -> node.give(formula.apply(flags(operand(node, 0, node.in(0).dataType())), flags(operand(node, 1, node.in(1).dataType()))));
  }

  private static SDVariable flags(SDVariable x) {
    return cast(cast(x, DataType.BOOL), DataType.INT32);
  }

  private static SDVariable and(SDVariable x, SDVariable y) {
    return x.mul(y).gt(scalar(x, 0));
  }

  private static SDVariable or(SDVariable x, SDVariable y) {
    return x.add(y).gt(scalar(x, 0));
  }

  private static SDVariable xor(SDVariable x, SDVariable y) {
    return x.neq(y);
  }

  private static SDVariable floorDivide(SDVariable x, SDVariable y) {
    SameDiff sd = x.getSameDiff();
    if (isFloat(x)) {
      return sd.math().floor(x.div(y));
    }
    SDVariable safe = safeDivisor(y);
    return x.sub(sd.math().floorMod(x, safe)).div(safe);
  }

  private static SDVariable mod(SDVariable x, SDVariable y) {
    return x.getSameDiff().math().floorMod(x, isFloat(x) ? y : safeDivisor(y));
  }

  /** An integer divisor without zeros: ND4J's integer division by 0 ends the process. */
  private static SDVariable safeDivisor(SDVariable y) {
    return y.add(cast(y.eq(scalar(y, 0)), y.dataType()));
  }

  /** Integers by way of float64, exact up to 2^53. */
  private static SDVariable power(SDVariable x, SDVariable y) {
    SameDiff sd = x.getSameDiff();
    return isFloat(x) ? sd.math().pow(x, y) : sd.math().pow(cast(x, DataType.DOUBLE), cast(y, DataType.DOUBLE));
  }

  private static SDVariable hypot(SDVariable x, SDVariable y) {
    SDVariable a = cast(x, DataType.DOUBLE);
    SDVariable b = cast(y, DataType.DOUBLE);
    return x.getSameDiff().math().sqrt(a.mul(a).add(b.mul(b)));
  }

  /** {@code max + log1p(exp(-|x - y|))}; equal infinities give themselves. */
  private static SDVariable logAddExp(SDVariable x, SDVariable y) {
    SameDiff sd = x.getSameDiff();
    SDVariable most = Formulas.extremum(x, y, true);
    SDVariable rest = Formulas.log1p(sd.math().exp(sd.math().abs(x.sub(y)).neg()));
    return Formulas.where(x.eq(y), most.add(scalar(x, Math.log(2))), most.add(rest));
  }
}
