package io.kbridge.plan.onednn;

import io.kbridge.plan.NativeArrays;

/** An array whose axes have names, as in {@code Einsum}: one letter each, none twice. Immutable. */
final class Labels {
  private final String names;
  private final long[] shape;
  private final long[] strides;

  /**
   * Names the axes of a dense array.
   *
   * @param names one letter for each axis
   * @param shape the sizes
   */
  Labels(String names, long[] shape) {
    this.names = names;
    this.shape = shape.clone();
    this.strides = NativeArrays.strides(shape);
  }

  String names() {
    return names;
  }

  boolean has(char name) {
    return names.indexOf(name) >= 0;
  }

  long size(char name) {
    return shape[names.indexOf(name)];
  }

  /** Returns the sizes of some axes, multiplied. */
  long size(String group) {
    long size = 1;
    for (char name : group.toCharArray()) {
      size *= size(name);
    }
    return size;
  }

  /**
   * Returns how far apart neighbours are on the axis that some axes make together.
   *
   * @param group the axes, the one that changes fastest last
   * @return the distance in elements, or 0 if they do not lie so that they make one axis
   */
  long stride(String group) {
    long stride = 0;
    long expected = 0;
    for (int i = group.length() - 1; i >= 0; i--) {
      int axis = names.indexOf(group.charAt(i));
      if (shape[axis] == 1) {
        continue;
      }
      if (stride == 0) {
        stride = strides[axis];
      } else if (strides[axis] != expected) {
        return 0;
      }
      expected = strides[axis] * shape[axis];
    }
    return stride == 0 ? 1 : stride;
  }

  /** Returns which axes some neighbouring axes are, from the first to behind the last; null if they are no neighbours. */
  int[] run(String group) {
    int first = group.isEmpty() ? 0 : names.indexOf(group);
    return first < 0 ? null : new int[] {first, first + group.length()};
  }

  /** Returns the names, in this order, for which something holds of two other arrays. */
  String common(Labels a, boolean inA, Labels b, boolean inB) {
    StringBuilder found = new StringBuilder();
    for (char name : names.toCharArray()) {
      if (a.has(name) == inA && b.has(name) == inB) {
        found.append(name);
      }
    }
    return found.toString();
  }
}
