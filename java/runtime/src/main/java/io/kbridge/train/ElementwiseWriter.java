package io.kbridge.train;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.ElementType;
import java.util.Arrays;
import java.util.List;

/** Writes the operations that compute element by element, with their shapes worked out; operands of one type broadcast as in NumPy. */
public class ElementwiseWriter extends GraphWriter {
  /**
   * Starts a graph.
   *
   * @param prefix what the names of all values that are written begin with, so that they meet no others
   */
  public ElementwiseWriter(String prefix) {
    super(prefix);
  }

  /**
   * Starts a body of one of another writer's nodes; the body's constants are the other's.
   *
   * @param outer the other writer
   */
  protected ElementwiseWriter(GraphWriter outer) {
    super(outer);
  }

  /**
   * Writes an op on each element.
   *
   * @param op the op
   * @param x its operand
   * @return a value of the same type and shape
   */
  public final Sym unary(String op, Sym x) {
    return node(op, List.of(x), attrs(), x.type(), x.shape());
  }

  /**
   * Writes {@code Negative}.
   *
   * @param x a value
   * @return the number with its sign changed
   */
  public final Sym neg(Sym x) {
    return unary("Negative", x);
  }

  /**
   * Writes {@code Absolute}.
   *
   * @param x a value
   * @return the absolute value
   */
  public final Sym abs(Sym x) {
    return unary("Absolute", x);
  }

  /**
   * Writes {@code Sign}.
   *
   * @param x a value
   * @return -1, 0 or 1
   */
  public final Sym sign(Sym x) {
    return unary("Sign", x);
  }

  /**
   * Writes {@code Exp}.
   *
   * @param x a value
   * @return the exponential
   */
  public final Sym exp(Sym x) {
    return unary("Exp", x);
  }

  /**
   * Writes {@code Log}.
   *
   * @param x a value
   * @return the natural logarithm
   */
  public final Sym log(Sym x) {
    return unary("Log", x);
  }

  /**
   * Writes {@code Sqrt}.
   *
   * @param x a value
   * @return the square root
   */
  public final Sym sqrt(Sym x) {
    return unary("Sqrt", x);
  }

  /**
   * Writes {@code Square}.
   *
   * @param x a value
   * @return the square
   */
  public final Sym square(Sym x) {
    return unary("Square", x);
  }

  /**
   * Writes {@code Reciprocal}.
   *
   * @param x a value
   * @return one divided by it
   */
  public final Sym reciprocal(Sym x) {
    return unary("Reciprocal", x);
  }

  /**
   * Writes {@code Sigmoid}.
   *
   * @param x a value
   * @return the logistic function
   */
  public final Sym sigmoid(Sym x) {
    return unary("Sigmoid", x);
  }

  /**
   * Writes {@code Tanh}.
   *
   * @param x a value
   * @return the hyperbolic tangent
   */
  public final Sym tanh(Sym x) {
    return unary("Tanh", x);
  }

  /**
   * Writes an op on each pair of elements, whose output has its operands' type.
   *
   * @param op the op
   * @param x first operand
   * @param y second operand
   * @return what the shapes broadcast to
   */
  public final Sym binary(String op, Sym x, Sym y) {
    return node(op, List.of(x, y), attrs(), same(op, x, y), broadcast(x, y));
  }

  /**
   * Writes {@code Add}.
   *
   * @param x first operand
   * @param y second operand
   * @return the sum
   */
  public final Sym add(Sym x, Sym y) {
    return binary("Add", x, y);
  }

  /**
   * Writes {@code Add} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the sum
   */
  public final Sym add(Sym x, double y) {
    return binary("Add", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Subtract}.
   *
   * @param x first operand
   * @param y second operand
   * @return the difference
   */
  public final Sym sub(Sym x, Sym y) {
    return binary("Subtract", x, y);
  }

  /**
   * Writes {@code Subtract} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the difference
   */
  public final Sym sub(Sym x, double y) {
    return binary("Subtract", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Multiply}.
   *
   * @param x first operand
   * @param y second operand
   * @return the product
   */
  public final Sym mul(Sym x, Sym y) {
    return binary("Multiply", x, y);
  }

  /**
   * Writes {@code Multiply} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the product
   */
  public final Sym mul(Sym x, double y) {
    return binary("Multiply", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Divide}.
   *
   * @param x first operand
   * @param y second operand
   * @return the quotient
   */
  public final Sym div(Sym x, Sym y) {
    return binary("Divide", x, y);
  }

  /**
   * Writes {@code Divide} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the quotient
   */
  public final Sym div(Sym x, double y) {
    return binary("Divide", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Maximum}.
   *
   * @param x first operand
   * @param y second operand
   * @return the larger one
   */
  public final Sym maximum(Sym x, Sym y) {
    return binary("Maximum", x, y);
  }

  /**
   * Writes {@code Maximum} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the larger one
   */
  public final Sym maximum(Sym x, double y) {
    return binary("Maximum", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Minimum}.
   *
   * @param x first operand
   * @param y second operand
   * @return the smaller one
   */
  public final Sym minimum(Sym x, Sym y) {
    return binary("Minimum", x, y);
  }

  /**
   * Writes {@code Minimum} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the smaller one
   */
  public final Sym minimum(Sym x, double y) {
    return binary("Minimum", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Power}.
   *
   * @param x first operand
   * @param y second operand
   * @return x to the y
   */
  public final Sym power(Sym x, Sym y) {
    return binary("Power", x, y);
  }

  /**
   * Writes {@code Power} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return x to the y
   */
  public final Sym power(Sym x, double y) {
    return binary("Power", x, constant(x.type(), y));
  }

  /**
   * Writes a comparison.
   *
   * @param op the op, such as {@code Greater}
   * @param x first operand
   * @param y second operand
   * @return bools
   */
  public final Sym compare(String op, Sym x, Sym y) {
    same(op, x, y);
    return node(op, List.of(x, y), attrs(), ElementType.BOOL, broadcast(x, y));
  }

  /**
   * Writes a comparison with a number.
   *
   * @param op the op, such as {@code Greater}
   * @param x first operand
   * @param y second operand
   * @return bools
   */
  public final Sym compare(String op, Sym x, double y) {
    return compare(op, x, constant(x.type(), y));
  }

  /**
   * Writes {@code Where}.
   *
   * @param condition bools
   * @param x what is taken where they are true
   * @param y what is taken elsewhere
   * @return the choice
   */
  public final Sym where(Sym condition, Sym x, Sym y) {
    return node("Where", List.of(condition, x, y), attrs(), same("Where", x, y), broadcast(condition, x, y));
  }

  /**
   * Writes {@code Cast}, unless the type is right already.
   *
   * @param x a value
   * @param type the type
   * @return the value with that type
   */
  public final Sym cast(Sym x, ElementType type) {
    if (x.type() == type) {
      return x;
    }
    ObjectNode attrs = attrs();
    attrs.put("dtype", type.kerasName());
    return node("Cast", List.of(x), attrs, type, x.shape());
  }

  /**
   * Works out what shapes broadcast to.
   *
   * @param values values
   * @return the shape
   */
  public static long[] broadcast(Sym... values) {
    long[] shape = new long[Arrays.stream(values).mapToInt(Sym::rank).max().orElse(0)];
    Arrays.fill(shape, 1);
    for (Sym value : values) {
      int lead = shape.length - value.rank();
      for (int i = 0; i < value.rank(); i++) {
        shape[lead + i] = value.size(i) == 1 ? shape[lead + i] : value.size(i);
      }
    }
    return shape;
  }

  static ElementType same(String op, Sym x, Sym y) {
    if (x.type() != y.type()) {
      throw new IllegalArgumentException("Expected operands of one type for " + op + ". Received: " + x + " and " + y + ".");
    }
    return x.type();
  }
}
