package io.kbridge.train.optimizer;

import io.kbridge.graph.ElementType;

/** One variable that an optimizer keeps for a weight, or for all together. Immutable. */
public final class Slot {
  /** What a slot holds before the first step. */
  enum Start {
    /** One number everywhere. */
    NUMBER,
    /** What the weight holds. */
    WEIGHT
  }

  private final String name;
  private final long[] shape;
  private final Start start;
  private final float number;
  private final boolean used;
  private final boolean plain;

  private Slot(String name, long[] shape, Start start, float number, boolean used, boolean plain) {
    this.name = name;
    this.shape = shape;
    this.start = start;
    this.number = number;
    this.used = used;
    this.plain = plain;
  }

  /**
   * A slot of the weight's shape that starts with zeros.
   *
   * @param name Keras's name of it
   * @return the slot
   */
  public static Slot zeros(String name) {
    return filled(name, 0);
  }

  /**
   * A slot of the weight's shape that starts with one number everywhere.
   *
   * @param name Keras's name of it
   * @param number the number
   * @return the slot
   */
  public static Slot filled(String name, float number) {
    return new Slot(name, null, Start.NUMBER, number, true, false);
  }

  /**
   * A slot that starts as a copy of the weight.
   *
   * @param name Keras's name of it
   * @return the slot
   */
  public static Slot copy(String name) {
    return new Slot(name, null, Start.WEIGHT, 0, true, false);
  }

  /**
   * A slot of another shape than the weight's, that Keras calls by the weight's name alone.
   *
   * @param name the attribute of Keras's optimizer that holds it
   * @param number what it starts with
   * @param shape its shape
   * @return the slot
   */
  public static Slot shaped(String name, float number, long... shape) {
    return new Slot(name, shape, Start.NUMBER, number, true, true);
  }

  /**
   * A variable that Keras makes and never uses, an int32.
   *
   * @param name the attribute of Keras's optimizer that holds it
   * @return the slot
   */
  public static Slot placeholder(String name) {
    return new Slot(name, new long[0], Start.NUMBER, 0, false, true);
  }

  String name() {
    return name;
  }

  /** Its shape for a weight of a shape. */
  long[] shape(long[] weight) {
    return shape == null ? weight : shape;
  }

  Start start() {
    return start;
  }

  float number() {
    return number;
  }

  /** False for what is carried along only. */
  boolean used() {
    return used;
  }

  /** Whether Keras names the variable by the weight's name alone. */
  boolean plain() {
    return plain;
  }

  ElementType type() {
    return used ? ElementType.FLOAT32 : ElementType.INT32;
  }
}
