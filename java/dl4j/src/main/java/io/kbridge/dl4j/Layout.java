package io.kbridge.dl4j;

import java.util.Arrays;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** How a weight of Keras lies in a parameter of DL4J: with its axes in another order, its gates in another order, as a row. */
final class Layout {
  private final int[] axes;
  private final int[] gates;

  private Layout(int[] axes, int[] gates) {
    this.axes = axes;
    this.gates = gates;
  }

  /** The same elements in the same order; shapes may differ, as those of a vector and a row. */
  static Layout same() {
    return new Layout(null, null);
  }

  /** For each axis of the parameter, the axis of the weight. */
  static Layout permuted(int... axes) {
    return new Layout(axes, null);
  }

  /** For each block of the parameter's last axis, the block of the weight's. */
  static Layout gates(int... gates) {
    return new Layout(null, gates);
  }

  /** Puts a weight, or a slot of one, into a parameter. */
  void toDl4j(INDArray weight, INDArray parameter) {
    INDArray from = weight.castTo(parameter.dataType()).dup('c');
    if (axes != null) {
      from = from.permute(axes).dup('c');
    }
    if (gates != null) {
      from = reorder(from, gates);
    }
    parameter.assign(from.reshape('c', parameter.shape()));
  }

  /** Returns a parameter as the weight of a shape. */
  INDArray toKeras(INDArray parameter, long... shape) {
    INDArray from = parameter.dup('c');
    if (gates != null) {
      return reorder(from.reshape('c', shape), inverse(gates)).dup('c');
    }
    if (axes == null) {
      return from.reshape('c', shape).dup('c');
    }
    long[] permuted = new long[axes.length];
    Arrays.setAll(permuted, i -> shape[axes[i]]);
    return from.reshape('c', permuted).permute(inverse(axes)).dup('c');
  }

  private static int[] inverse(int... order) {
    int[] inverse = new int[order.length];
    for (int i = 0; i < order.length; i++) {
      inverse[order[i]] = i;
    }
    return inverse;
  }

  private static INDArray reorder(INDArray x, int... order) {
    int last = x.rank() - 1;
    long size = x.size(last) / order.length;
    INDArray[] parts = new INDArray[order.length];
    INDArray rows = x.reshape('c', x.length() / x.size(last), x.size(last));
    for (int i = 0; i < order.length; i++) {
      parts[i] = rows.get(NDArrayIndex.all(), NDArrayIndex.interval(order[i] * size, (order[i] + 1) * size));
    }
    return Nd4j.concat(1, parts).reshape('c', x.shape());
  }
}
