package io.kbridge.train;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.ElementType;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.LongStream;

/**
 * Writes the operations that gradients and optimizers are made of, with their shapes worked out. Operands have one type, as in any graph;
 * they broadcast as in NumPy. Numbers become constants of the other operand's type. Ops that have no method here are written with {@link #node}.
 */
public final class Emitter extends GraphWriter {
  /**
   * Starts a graph.
   *
   * @param prefix what the names of all values that are written begin with, so that they meet no others
   */
  public Emitter(String prefix) {
    super(prefix);
  }

  private Emitter(Emitter outer) {
    super(outer);
  }

  /**
   * Starts a body of one of this graph's nodes.
   *
   * @return the writer of the body, which may read what this one has written
   */
  public Emitter inner() {
    return new Emitter(this);
  }

  /**
   * Writes an op on each element.
   *
   * @param op the op
   * @param x its operand
   * @return a value of the same type and shape
   */
  public Sym unary(String op, Sym x) {
    return node(op, List.of(x), attrs(), x.type(), x.shape());
  }

  /**
   * Writes {@code Negative}.
   *
   * @param x a value
   * @return the number with its sign changed
   */
  public Sym neg(Sym x) {
    return unary("Negative", x);
  }

  /**
   * Writes {@code Absolute}.
   *
   * @param x a value
   * @return the absolute value
   */
  public Sym abs(Sym x) {
    return unary("Absolute", x);
  }

  /**
   * Writes {@code Sign}.
   *
   * @param x a value
   * @return -1, 0 or 1
   */
  public Sym sign(Sym x) {
    return unary("Sign", x);
  }

  /**
   * Writes {@code Exp}.
   *
   * @param x a value
   * @return the exponential
   */
  public Sym exp(Sym x) {
    return unary("Exp", x);
  }

  /**
   * Writes {@code Log}.
   *
   * @param x a value
   * @return the natural logarithm
   */
  public Sym log(Sym x) {
    return unary("Log", x);
  }

  /**
   * Writes {@code Sqrt}.
   *
   * @param x a value
   * @return the square root
   */
  public Sym sqrt(Sym x) {
    return unary("Sqrt", x);
  }

  /**
   * Writes {@code Square}.
   *
   * @param x a value
   * @return the square
   */
  public Sym square(Sym x) {
    return unary("Square", x);
  }

  /**
   * Writes {@code Reciprocal}.
   *
   * @param x a value
   * @return one divided by it
   */
  public Sym reciprocal(Sym x) {
    return unary("Reciprocal", x);
  }

  /**
   * Writes {@code Sigmoid}.
   *
   * @param x a value
   * @return the logistic function
   */
  public Sym sigmoid(Sym x) {
    return unary("Sigmoid", x);
  }

  /**
   * Writes {@code Tanh}.
   *
   * @param x a value
   * @return the hyperbolic tangent
   */
  public Sym tanh(Sym x) {
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
  public Sym binary(String op, Sym x, Sym y) {
    return node(op, List.of(x, y), attrs(), same(op, x, y), broadcast(x, y));
  }

  /**
   * Writes {@code Add}.
   *
   * @param x first operand
   * @param y second operand
   * @return the sum
   */
  public Sym add(Sym x, Sym y) {
    return binary("Add", x, y);
  }

  /**
   * Writes {@code Add} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the sum
   */
  public Sym add(Sym x, double y) {
    return binary("Add", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Subtract}.
   *
   * @param x first operand
   * @param y second operand
   * @return the difference
   */
  public Sym sub(Sym x, Sym y) {
    return binary("Subtract", x, y);
  }

  /**
   * Writes {@code Subtract} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the difference
   */
  public Sym sub(Sym x, double y) {
    return binary("Subtract", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Multiply}.
   *
   * @param x first operand
   * @param y second operand
   * @return the product
   */
  public Sym mul(Sym x, Sym y) {
    return binary("Multiply", x, y);
  }

  /**
   * Writes {@code Multiply} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the product
   */
  public Sym mul(Sym x, double y) {
    return binary("Multiply", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Divide}.
   *
   * @param x first operand
   * @param y second operand
   * @return the quotient
   */
  public Sym div(Sym x, Sym y) {
    return binary("Divide", x, y);
  }

  /**
   * Writes {@code Divide} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the quotient
   */
  public Sym div(Sym x, double y) {
    return binary("Divide", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Maximum}.
   *
   * @param x first operand
   * @param y second operand
   * @return the larger one
   */
  public Sym maximum(Sym x, Sym y) {
    return binary("Maximum", x, y);
  }

  /**
   * Writes {@code Maximum} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the larger one
   */
  public Sym maximum(Sym x, double y) {
    return binary("Maximum", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Minimum}.
   *
   * @param x first operand
   * @param y second operand
   * @return the smaller one
   */
  public Sym minimum(Sym x, Sym y) {
    return binary("Minimum", x, y);
  }

  /**
   * Writes {@code Minimum} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return the smaller one
   */
  public Sym minimum(Sym x, double y) {
    return binary("Minimum", x, constant(x.type(), y));
  }

  /**
   * Writes {@code Power}.
   *
   * @param x first operand
   * @param y second operand
   * @return x to the y
   */
  public Sym power(Sym x, Sym y) {
    return binary("Power", x, y);
  }

  /**
   * Writes {@code Power} with a number.
   *
   * @param x first operand
   * @param y second operand
   * @return x to the y
   */
  public Sym power(Sym x, double y) {
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
  public Sym compare(String op, Sym x, Sym y) {
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
  public Sym compare(String op, Sym x, double y) {
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
  public Sym where(Sym condition, Sym x, Sym y) {
    return node("Where", List.of(condition, x, y), attrs(), same("Where", x, y), broadcast(condition, x, y));
  }

  /**
   * Writes {@code Cast}, unless the type is right already.
   *
   * @param x a value
   * @param type the type
   * @return the value with that type
   */
  public Sym cast(Sym x, ElementType type) {
    if (x.type() == type) {
      return x;
    }
    ObjectNode attrs = attrs();
    attrs.put("dtype", type.kerasName());
    return node("Cast", List.of(x), attrs, type, x.shape());
  }

  /**
   * Writes a reduction over some axes, unless there are none.
   *
   * @param op {@code Sum}, {@code Mean}, {@code Max}, {@code Min} or {@code Prod}
   * @param x a value
   * @param keep whether the axes stay, with size 1
   * @param axes the axes, from 0
   * @return the reduced value
   */
  public Sym reduce(String op, Sym x, boolean keep, int... axes) {
    if (axes.length == 0) {
      return x;
    }
    ObjectNode attrs = attrs("axis", IntStream.of(axes).asLongStream().toArray());
    attrs.put("keepdims", keep);
    long[] kept = x.shape();
    IntStream.of(axes).forEach(axis -> kept[axis] = keep ? 1 : -1);
    return node(op, List.of(x), attrs, x.type(), LongStream.of(kept).filter(size -> size >= 0).toArray());
  }

  /**
   * Writes {@code Sum} over some axes.
   *
   * @param x a value
   * @param keep whether the axes stay, with size 1
   * @param axes the axes, from 0
   * @return the sums
   */
  public Sym sum(Sym x, boolean keep, int... axes) {
    return reduce("Sum", x, keep, axes);
  }

  /**
   * Writes {@code Sum} over all elements.
   *
   * @param x a value
   * @return a scalar
   */
  public Sym sum(Sym x) {
    return reduce("Sum", x, false, IntStream.range(0, x.rank()).toArray());
  }

  /**
   * Writes the sum of what broadcasting made of one element: the gradient of broadcasting.
   *
   * @param x a value
   * @param shape a shape that broadcasts to the value's
   * @return a value of that shape
   */
  public Sym sumTo(Sym x, long... shape) {
    int lead = x.rank() - shape.length;
    int[] axes = IntStream.range(0, x.rank()).filter(i -> i < lead || shape[i - lead] == 1 && x.size(i) != 1).toArray();
    return reshape(sum(x, false, axes), shape);
  }

  /**
   * Writes {@code BroadcastTo}, unless the shape is right already.
   *
   * @param x a value
   * @param shape the shape
   * @return the value, repeated
   */
  public Sym broadcastTo(Sym x, long... shape) {
    return Arrays.equals(x.shape(), shape) ? x : node("BroadcastTo", List.of(x), attrs("shape", shape), x.type(), shape);
  }

  /**
   * Gives an array of one number.
   *
   * @param type its type
   * @param value the number
   * @param shape its shape
   * @return the array
   */
  public Sym full(ElementType type, double value, long... shape) {
    return broadcastTo(constant(type, value), shape);
  }

  /**
   * Writes {@code Reshape}, unless the shape is right already.
   *
   * @param x a value
   * @param shape a shape of as many elements
   * @return the value with that shape
   */
  public Sym reshape(Sym x, long... shape) {
    return Arrays.equals(x.shape(), shape) ? x : node("Reshape", List.of(x), attrs("newshape", shape), x.type(), shape);
  }

  /**
   * Writes {@code Transpose}, unless the order is right already.
   *
   * @param x a value
   * @param axes for each axis of the result, the axis of x
   * @return the value with its axes in that order
   */
  public Sym transpose(Sym x, int... axes) {
    if (Arrays.equals(axes, IntStream.range(0, axes.length).toArray())) {
      return x;
    }
    long[] shape = IntStream.of(axes).mapToLong(x::size).toArray();
    return node("Transpose", List.of(x), attrs("axes", IntStream.of(axes).asLongStream().toArray()), x.type(), shape);
  }

  /**
   * Writes the product of two matrices, or of as many as the first axes say.
   *
   * @param x first operand
   * @param y second operand, with the same first axes
   * @param transposeX whether the first one's last two axes are exchanged
   * @param transposeY whether the second one's last two axes are exchanged
   * @return the products
   */
  public Sym matmul(Sym x, Sym y, boolean transposeX, boolean transposeY) {
    int last = x.rank() - 1;
    long[] shape = x.shape();
    shape[last - 1] = x.size(transposeX ? last : last - 1);
    shape[last] = y.size(transposeY ? last - 1 : last);
    if (!transposeX && !transposeY) {
      return node("Matmul", List.of(x, y), attrs(), same("Matmul", x, y), shape);
    }
    ObjectNode attrs = attrs().put("transpose_x1", transposeX).put("transpose_x2", transposeY);
    return node("TransposedMatmul", List.of(x, y), attrs, same("TransposedMatmul", x, y), shape);
  }

  /**
   * Writes {@code Concatenate}.
   *
   * @param parts the parts
   * @param axis the axis along which they follow each other
   * @return the whole
   */
  public Sym concatenate(List<Sym> parts, int axis) {
    long[] shape = parts.get(0).shape();
    shape[axis] = parts.stream().mapToLong(part -> part.size(axis)).sum();
    return node("Concatenate", parts, attrs().put("axis", axis), parts.get(0).type(), shape);
  }

  /**
   * Writes {@code Slice}, unless it is all of the value.
   *
   * @param x a value
   * @param starts first index on each axis
   * @param shape how many on each axis
   * @return the part
   */
  public Sym slice(Sym x, long[] starts, long... shape) {
    if (Arrays.equals(x.shape(), shape)) {
      return x;
    }
    return node("Slice", List.of(x), put(attrs("start_indices", starts), "shape", shape), x.type(), shape);
  }

  /**
   * Writes {@code Slice} along one axis.
   *
   * @param x a value
   * @param axis the axis
   * @param start first index
   * @param size how many
   * @return the part
   */
  public Sym slice(Sym x, int axis, long start, long size) {
    long[] starts = new long[x.rank()];
    starts[axis] = start;
    long[] shape = x.shape();
    shape[axis] = size;
    return slice(x, starts, shape);
  }

  /**
   * Writes {@code Pad} with zeros, unless nothing is added.
   *
   * @param x a value
   * @param before how many are added before it on each axis
   * @param after how many are added after it on each axis
   * @return the larger value
   */
  public Sym pad(Sym x, long[] before, long... after) {
    long[] shape = x.shape();
    ObjectNode attrs = attrs().put("mode", "constant").put("constant_values", 0);
    ArrayNode widths = attrs.putArray("pad_width");
    for (int i = 0; i < shape.length; i++) {
      shape[i] += before[i] + after[i];
      widths.addArray().add(before[i]).add(after[i]);
    }
    return Arrays.equals(x.shape(), shape) ? x : node("Pad", List.of(x), attrs, x.type(), shape);
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

  private static ElementType same(String op, Sym x, Sym y) {
    if (x.type() != y.type()) {
      throw new IllegalArgumentException("Expected operands of one type for " + op + ". Received: " + x + " and " + y + ".");
    }
    return x.type();
  }
}
