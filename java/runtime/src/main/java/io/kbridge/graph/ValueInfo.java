package io.kbridge.graph;

import java.util.Arrays;
import java.util.Objects;
import org.nd4j.linalg.api.buffer.DataType;

/** A value of the graph as the spec declares it: name, shape and element type. Immutable. */
public final class ValueInfo {
  /** Stands in a shape for a size that is chosen at call time. */
  public static final long ANY = -1;

  private final String name;
  private final long[] shape;
  private final ElementType type;

  /**
   * Makes a value.
   *
   * @param name its name, unique in the graph
   * @param shape its shape; {@link #ANY} for sizes known only at call time
   * @param type its element type
   */
  public ValueInfo(String name, long[] shape, ElementType type) {
    this.name = Objects.requireNonNull(name, "name");
    this.shape = shape.clone();
    this.type = Objects.requireNonNull(type, "type");
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
   * Returns the shape.
   *
   * @return a copy; {@link #ANY} for sizes known only at call time
   */
  public long[] shape() {
    return shape.clone();
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
   * Returns the element type as ND4J's.
   *
   * @return the type
   */
  public DataType dtype() {
    return type.dataType();
  }

  /**
   * Tells whether a concrete shape fits this one: same rank, and equal wherever this one is not {@link #ANY}.
   *
   * @param actual a concrete shape
   * @return true if it fits
   */
  public boolean accepts(long... actual) {
    if (actual.length != shape.length) {
      return false;
    }
    for (int i = 0; i < shape.length; i++) {
      if (shape[i] != ANY && shape[i] != actual[i]) {
        return false;
      }
    }
    return true;
  }

  /**
   * Writes the value as {@code name: float32[?, 3]}, for messages.
   *
   * @return the text
   */
  @Override
  public String toString() {
    return name + ": " + type.kerasName() + Arrays.toString(shape).replace("-1", "?");
  }
}
