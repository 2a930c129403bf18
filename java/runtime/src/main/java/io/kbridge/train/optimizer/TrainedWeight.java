package io.kbridge.train.optimizer;

import io.kbridge.plan.HostMemory;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A weight that an optimizer updates. */
public final class TrainedWeight {
  private final String name;
  private final String path;
  private final INDArray array;
  private final HostMemory memory;
  private final List<OptimizerVariable> slots = new ArrayList<>();
  private OptimizerVariable average;
  private OptimizerVariable accumulator;
  private Double decay;

  TrainedWeight(String name, String path, INDArray array) {
    this.name = name;
    this.path = path;
    this.array = array;
    this.memory = new HostMemory(array);
  }

  /**
   * Returns its name in the bundle.
   *
   * @return the name
   */
  public String name() {
    return name;
  }

  /**
   * Returns Keras's path of the variable.
   *
   * @return the path
   */
  public String path() {
    return path;
  }

  /**
   * Returns its shape.
   *
   * @return the sizes
   */
  public long[] shape() {
    return array.shape();
  }

  INDArray array() {
    return array;
  }

  /** Where its values are read and written one by one. */
  HostMemory memory() {
    return memory;
  }

  /** Does something with the memory of the weight and of all that is kept for it. */
  void eachMemory(Consumer<HostMemory> action) {
    action.accept(memory);
    Stream.concat(slots.stream(), Stream.of(average, accumulator)).filter(Objects::nonNull).forEach(kept -> action.accept(kept.memory()));
  }

  /** The slots of the rule that it reads and writes, in its order. */
  List<OptimizerVariable> slots() {
    return slots;
  }

  OptimizerVariable average() {
    return average;
  }

  void average(OptimizerVariable variable) {
    average = variable;
  }

  OptimizerVariable accumulator() {
    return accumulator;
  }

  void accumulator(OptimizerVariable variable) {
    accumulator = variable;
  }

  /** The weight decay, or null for none. */
  Double decay() {
    return decay;
  }

  void decay(Double value) {
    decay = value;
  }
}
