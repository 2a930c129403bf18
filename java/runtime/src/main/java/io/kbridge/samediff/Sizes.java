package io.kbridge.samediff;

import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.List;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.factory.Nd4j;

/** A list of sizes, each a number or an int64 scalar of the graph that is known at call time. */
public final class Sizes {
  private final SameDiff sd;
  private final List<Object> sizes = new ArrayList<>();

  Sizes(SameDiff sd) {
    this.sd = sd;
  }

  /** The sizes of a variable, by its declared shape. */
  static Sizes of(SDVariable x, long... shape) {
    Sizes sizes = new Sizes(x.getSameDiff());
    for (int i = 0; i < shape.length; i++) {
      sizes.add(shape[i] == ValueInfo.ANY ? x.getSameDiff().sizeAt(x, i).castTo(DataType.INT64) : (Object) shape[i]);
    }
    return sizes;
  }

  Sizes add(Object size) {
    sizes.add(size instanceof Integer ? Long.valueOf((Integer) size) : size);
    return this;
  }

  int count() {
    return sizes.size();
  }

  Object get(int i) {
    return sizes.get(i);
  }

  Sizes with(int i, Object size) {
    Sizes copy = new Sizes(sd);
    sizes.forEach(copy::add);
    copy.sizes.set(i, size instanceof Integer ? Long.valueOf((Integer) size) : size);
    return copy;
  }

  boolean isKnown() {
    return sizes.stream().allMatch(size -> size instanceof Long && (Long) size >= 0);
  }

  /** Multiplies two sizes. */
  Object times(Object a, Object b) {
    if (a instanceof Long && b instanceof Long) {
      return (Long) a * (Long) b;
    }
    return variable(a).mul(variable(b));
  }

  /** The product of some of the sizes. */
  Object product(int from, int to) {
    Object product = 1L;
    for (int i = from; i < to; i++) {
      product = times(product, sizes.get(i));
    }
    return product;
  }

  SDVariable variable(Object size) {
    return size instanceof SDVariable ? (SDVariable) size : sd.constant(Nd4j.scalar(DataType.INT64, (Long) size));
  }

  /** All sizes as an int64 vector. */
  SDVariable vector() {
    if (isKnown()) {
      return sd.constant(Nd4j.createFromArray(sizes.stream().mapToLong(size -> (Long) size).toArray()));
    }
    return sd.stack(0, sizes.stream().map(this::variable).toArray(SDVariable[]::new));
  }

  /** Sees a variable with these sizes, of which one may be -1, or not known. */
  SDVariable reshape(SDVariable x) {
    long open = sizes.stream().filter(size -> !(size instanceof Long) || (Long) size < 0).count();
    boolean empty = sizes.stream().anyMatch(size -> Long.valueOf(0).equals(size));
    if (open == 0 || (open == 1 && !empty)) {
      return sd.reshape(x, sizes.stream().mapToLong(size -> size instanceof Long ? (Long) size : -1).toArray());
    }
    return sd.reshape(x, vector());
  }

  /** An array of ones of these sizes. */
  SDVariable ones(DataType type) {
    if (isKnown()) {
      return sd.constant(Nd4j.ones(type, sizes.stream().mapToLong(size -> (Long) size).toArray()));
    }
    return sd.fill(vector(), type, 1);
  }
}
