package io.kbridge;

import io.kbridge.graph.ElementType;
import io.kbridge.graph.ValueInfo;
import java.util.Objects;
import org.nd4j.linalg.api.buffer.DataType;

/** An input or output of a model: name, shape, element type. Immutable. */
public final class TensorInfo {
  private final ValueInfo value;
  private final boolean optional;

  TensorInfo(ValueInfo value, boolean optional) {
    this.value = Objects.requireNonNull(value, "value");
    this.optional = optional;
  }

  /**
   * Returns the name.
   *
   * @return the name
   */
  public String name() {
    return value.name();
  }

  /**
   * Returns the shape.
   *
   * @return a copy; -1 for a size chosen at call time
   */
  public long[] shape() {
    return value.shape();
  }

  /**
   * Returns the element type as ND4J's.
   *
   * @return the type
   */
  public DataType dtype() {
    return value.dtype();
  }

  /**
   * Returns the element type by the name Keras and NumPy give it.
   *
   * @return such as {@code float32}
   */
  public String dtypeName() {
    return value.type().kerasName();
  }

  /**
   * Tells whether an input may be left out of a call.
   *
   * @return true if it may; false for outputs
   */
  public boolean optional() {
    return optional;
  }

  ElementType elementType() {
    return value.type();
  }

  boolean accepts(long[] shape) {
    return value.accepts(shape);
  }

  /**
   * Writes the tensor as {@code name: float32[?, 3]}.
   *
   * @return the text
   */
  @Override
  public String toString() {
    return value + (optional ? " (optional)" : "");
  }
}
