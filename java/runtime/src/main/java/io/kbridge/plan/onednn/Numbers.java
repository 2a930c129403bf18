package io.kbridge.plan.onednn;

import org.bytedeco.dnnl.memory;

/** How the numbers of an array are stored: as they are, in bfloat16, or as whole multiples of a step in 8 bits. Immutable. */
final class Numbers {
  static final Numbers FLOAT = new Numbers(memory.data_type.f32, 1);
  static final Numbers HALF = new Numbers(memory.data_type.bf16, 1);
  /** The largest whole number of 8 bits and a sign that is used, so that each has its negative. */
  static final int LARGEST = 127;

  private static final int LARGEST_UNSIGNED = 255;

  private final memory.data_type type;
  private final double step;

  private Numbers(memory.data_type type, double step) {
    this.type = type;
    this.step = step;
  }

  /** Numbers of 8 bits for values in a range: whole ones without sign where nothing is negative. */
  static Numbers within(double least, double most) {
    return least >= 0
        ? new Numbers(memory.data_type.u8, most / LARGEST_UNSIGNED)
        : new Numbers(memory.data_type.s8, Math.max(-least, most) / LARGEST);
  }

  /** Tells oneDNN's type. */
  memory.data_type type() {
    return type;
  }

  /** Tells what a stored 1 stands for. */
  double step() {
    return step;
  }

  /** Tells whether the numbers are rounded to 8 bits. */
  boolean isSmall() {
    return this != FLOAT && this != HALF;
  }

  /** Tells whether the same bits are the same number. */
  boolean isLike(Numbers other) {
    return type == other.type && step == other.step;
  }
}
