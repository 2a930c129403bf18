package io.kbridge.train;

import io.kbridge.graph.ElementType;
import io.kbridge.graph.ValueInfo;
import java.util.Arrays;

/** A value of a graph whose sizes are all known: what an {@link Emitter} reads and gives. Immutable. */
public final class Sym {
  private final String name;
  private final long[] shape;
  private final ElementType type;

  /**
   * Makes a value.
   *
   * @param name its name, unique in the graph
   * @param type its element type
   * @param shape its shape; no size is open
   */
  public Sym(String name, ElementType type, long... shape) {
    this.name = name;
    this.type = type;
    this.shape = shape.clone();
    if (Arrays.stream(shape).anyMatch(size -> size < 0)) {
      throw new IllegalArgumentException("Expected known sizes of '" + name + "'. Received: " + Arrays.toString(shape) + ".");
    }
  }

  /**
   * Returns the name.
   *
   * @return the name
   */
  public String name() {
    return name;
  }

  /**
   * Returns the element type.
   *
   * @return the type
   */
  public ElementType type() {
    return type;
  }

  /**
   * Returns the shape.
   *
   * @return a copy
   */
  public long[] shape() {
    return shape.clone();
  }

  /**
   * Returns how many axes there are.
   *
   * @return the rank
   */
  public int rank() {
    return shape.length;
  }

  /**
   * Returns the size of an axis.
   *
   * @param axis from 0
   * @return the size
   */
  public long size(int axis) {
    return shape[axis];
  }

  /**
   * Returns how many elements there are.
   *
   * @return the product of all sizes
   */
  public long length() {
    return Arrays.stream(shape).reduce(1, Math::multiplyExact);
  }

  /**
   * Tells whether another value has the same shape.
   *
   * @param other the other
   * @return true if so
   */
  public boolean isLike(Sym other) {
    return Arrays.equals(shape, other.shape);
  }

  /**
   * Tells whether the elements are floating-point numbers, which alone have gradients.
   *
   * @return true if so
   */
  public boolean isFloat() {
    return type.dataType().isFPType();
  }

  /**
   * Describes the value as graphs do.
   *
   * @return the description
   */
  public ValueInfo info() {
    return new ValueInfo(name, shape, type);
  }

  /**
   * Names value, type and shape.
   *
   * @return the text
   */
  @Override
  public String toString() {
    return info().toString();
  }
}
