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
public final class Emitter extends ElementwiseWriter {
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
}
