package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.plan.HostMemory;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A variable of an optimizer: what the bundle says of it, and its content. */
public final class OptimizerVariable {
  private final ObjectNode entry;
  private final INDArray array;
  private HostMemory memory;

  OptimizerVariable(ObjectNode entry, INDArray array) {
    this.entry = entry;
    this.array = array;
  }

  /**
   * Returns Keras's path of the variable.
   *
   * @return the path
   */
  public String name() {
    return entry.get("name").asText();
  }

  /**
   * Returns what it is for.
   *
   * @return Keras's name of the slot
   */
  public String slot() {
    return entry.get("slot").asText();
  }

  /**
   * Returns the weight it belongs to.
   *
   * @return its name in the bundle, or null if it belongs to none
   */
  public String weight() {
    return entry.get("weight").textValue();
  }

  /**
   * Returns its content. Changes with each step.
   *
   * @return the array itself
   */
  public INDArray array() {
    return array;
  }

  /**
   * Returns its dataset in a bundle that is saved now.
   *
   * @return the path
   */
  public String path() {
    return entry.get("path").asText();
  }

  /** Where its content is read and written number by number. */
  HostMemory memory() {
    memory = memory == null ? new HostMemory(array) : memory;
    return memory;
  }

  ObjectNode entry() {
    return entry;
  }

  float number() {
    return array.getFloat(0);
  }

  long count() {
    return array.getLong(0);
  }

  void set(float value) {
    array.data().put(array.offset(), value);
  }

  void set(long value) {
    array.data().put(array.offset(), value);
  }
}
