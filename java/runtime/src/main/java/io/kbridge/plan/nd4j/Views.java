package io.kbridge.plan.nd4j;

import io.kbridge.plan.NativeArrays;
import java.util.Arrays;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Views of arrays: the same memory seen with other shapes and strides. Nothing is copied. */
final class Views {
  private Views() {}

  /**
   * Sees an array with another shape.
   *
   * @param x a contiguous array in 'c' order
   * @param shape a shape of as many elements
   * @return the view
   */
  static INDArray reshape(INDArray x, long... shape) {
    if (Arrays.equals(x.shape(), shape)) {
      return x;
    }
    return view(x, x.offset(), shape, Shapes.strides(shape));
  }

  /**
   * Sees an array with an axis of size one more.
   *
   * @param x a contiguous array in 'c' order
   * @param axis where the new axis is in the result
   * @return the view
   */
  static INDArray expand(INDArray x, int axis) {
    return reshape(x, Shapes.insert(x.shape(), axis, 1));
  }

  /**
   * Sees an array with its axes in another order.
   *
   * @param x an array
   * @param axes for each axis of the result, the axis of x
   * @return the view
   */
  static INDArray permute(INDArray x, int... axes) {
    long[] shape = new long[axes.length];
    long[] strides = new long[axes.length];
    for (int i = 0; i < axes.length; i++) {
      shape[i] = x.size(axes[i]);
      strides[i] = x.stride(axes[i]);
    }
    return view(x, x.offset(), shape, strides);
  }

  /**
   * Sees a part of an array along one axis.
   *
   * @param x an array
   * @param axis the axis
   * @param start first index
   * @param size how many
   * @return the view
   */
  static INDArray range(INDArray x, int axis, long start, long size) {
    long[] starts = new long[x.rank()];
    starts[axis] = start;
    long[] shape = x.shape().clone();
    shape[axis] = size;
    return slice(x, starts, shape, Shapes.ones(x.rank()));
  }

  /**
   * Sees a regular part of an array.
   *
   * @param x an array
   * @param starts first index on each axis
   * @param shape how many on each axis
   * @param steps distance between two on each axis; positive
   * @return the view
   */
  static INDArray slice(INDArray x, long[] starts, long[] shape, long[] steps) {
    long offset = x.offset();
    long[] strides = new long[shape.length];
    for (int i = 0; i < shape.length; i++) {
      offset += starts[i] * x.stride(i);
      strides[i] = steps[i] * x.stride(i);
    }
    return view(x, offset, shape, strides);
  }

  /**
   * Sees one index of an axis, without the axis.
   *
   * @param x an array
   * @param axis the axis
   * @param index the index
   * @return the view
   */
  static INDArray select(INDArray x, int axis, long index) {
    long[] strides = Shapes.remove(x.stride(), axis);
    return view(x, x.offset() + index * x.stride(axis), Shapes.remove(x.shape(), axis), strides);
  }

  /**
   * Sees an array repeated to a larger shape, as NumPy broadcasts. For reading only.
   *
   * @param x an array
   * @param shape the shape
   * @return the view; repeated axes have stride 0
   */
  static INDArray broadcast(INDArray x, long... shape) {
    int lead = shape.length - x.rank();
    long[] strides = new long[shape.length];
    for (int i = lead; i < shape.length; i++) {
      strides[i] = x.size(i - lead) == 1 ? 0 : x.stride(i - lead);
    }
    return view(x, x.offset(), shape, strides);
  }

  /**
   * Sees an array's memory with any shape and strides.
   *
   * @param x an array
   * @param offset of the first element, in elements
   * @param shape the shape
   * @param strides the strides, in elements
   * @return the view
   */
  static INDArray view(INDArray x, long offset, long[] shape, long[] strides) {
    if (Shapes.size(shape) == 0) {
      return NativeArrays.empty(x.dataType(), shape);
    }
    return Nd4j.create(x.data(), shape, strides, offset, 'c', x.dataType());
  }
}
