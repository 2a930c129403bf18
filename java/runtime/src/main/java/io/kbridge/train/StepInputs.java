package io.kbridge.train;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.StepGraph;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Makes a step's inputs of what a caller gives: checks all of it, in one message, and fills in what is left out. */
final class StepInputs {
  private final List<StepGraph.Input> expected;
  private final List<String> problems = new ArrayList<>();
  private final Map<String, INDArray> inputs = new LinkedHashMap<>();

  private StepInputs(List<StepGraph.Input> expected) {
    this.expected = expected;
  }

  /**
   * Makes the inputs.
   *
   * @param expected the step's inputs
   * @param given by role: arrays by the name of the model's input or output they belong to
   * @return the arrays by the name of the step's input
   */
  static Map<String, INDArray> of(List<StepGraph.Input> expected, Map<StepGraph.Role, Map<String, INDArray>> given) {
    return new StepInputs(expected).make(given);
  }

  private Map<String, INDArray> make(Map<StepGraph.Role, Map<String, INDArray>> given) {
    for (StepGraph.Role role : StepGraph.Role.values()) {
      Map<String, INDArray> arrays = given.getOrDefault(role, Map.of());
      Set<String> unknown = new LinkedHashSet<>(arrays.keySet());
      for (StepGraph.Input input : expected) {
        if (input.role() == role) {
          unknown.remove(input.of());
          take(input, arrays.get(input.of()));
        }
      }
      unknown.forEach(name -> problems.add(named(role) + " for '" + name + "', which there are none of"));
    }
    if (!problems.isEmpty()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected " + describe() + ". Received: " + String.join("; ", problems)
              + ". Give inputs by the names of the model's inputs, labels and sample weights by those of its outputs.");
    }
    sameBatch();
    Map<String, INDArray> ordered = new LinkedHashMap<>();
    expected.forEach(input -> ordered.put(input.value().name(), inputs.get(input.value().name())));
    return ordered;
  }

  private void take(StepGraph.Input input, INDArray array) {
    if (array != null) {
      INDArray fitted = fitted(input.value(), input.broadcasts() ? broadcast(input, array) : array);
      if (fitted == null) {
        problems.add(named(input.role()) + " of '" + input.of() + "' as " + describe(array));
      } else if (input.classes() != null) {
        checkClasses(input, array);
      }
      inputs.put(input.value().name(), fitted);
    } else if (input.role() == StepGraph.Role.SAMPLE_WEIGHT && !inputs.isEmpty() && inputs.values().iterator().next() != null) {
      inputs.put(input.value().name(), ones(input));
    } else {
      problems.add("no " + named(input.role()) + " of '" + input.of() + "'");
    }
  }

  /** Stops numbers of classes that do not exist: what the loss would make of them is no error of its own everywhere. */
  private void checkClasses(StepGraph.Input input, INDArray labels) {
    long classes = input.classes();
    boolean whole = !labels.dataType().isFPType();
    if (labels.isEmpty() || whole && labels.minNumber().longValue() >= 0 && labels.maxNumber().longValue() < classes) {
      return;
    }
    for (double label : labels.dup('c').data().asDouble()) {
      boolean isIgnored = input.ignored() != null && label == input.ignored();
      if (!isIgnored && !(label >= 0 && label < classes && label == Math.rint(label))) {
        String number = whole ? Long.toString((long) label) : Double.toString(label);
        problems.add("the class number " + number + " among the labels of '" + input.of() + "'");
        return;
      }
    }
  }

  /** Casts labels to the type the loss takes, and adds or drops a last axis of size 1, as Keras does. */
  private static INDArray fitted(ValueInfo info, INDArray array) {
    INDArray typed = array.dataType() == info.dtype() ? array : array.castTo(info.dtype());
    if (info.accepts(typed.shape())) {
      return typed;
    }
    int rank = info.shape().length;
    long[] shape = typed.shape();
    if (shape.length == rank + 1 && shape[rank] == 1) {
      shape = Arrays.copyOf(shape, rank);
    } else if (shape.length == rank - 1) {
      shape = Arrays.copyOf(shape, rank);
      shape[rank - 1] = 1;
    }
    return info.accepts(shape) ? typed.reshape(shape) : null;
  }

  /** Weights of samples as weights of all values that a sample has, as Keras takes them. */
  private INDArray broadcast(StepGraph.Input input, INDArray weights) {
    int rank = input.value().shape().length;
    long[] shape = weights.shape();
    if (shape.length == rank - 1) {
      shape = Arrays.copyOf(shape, rank);
      shape[rank - 1] = 1;
    }
    if (shape.length != rank || rank == 0) {
      return weights;
    }
    long[] sizes = sizes(input);
    sizes[0] = shape[0];
    for (int i = 0; i < rank; i++) {
      if (shape[i] != 1 && shape[i] != sizes[i]) {
        return weights;
      }
    }
    INDArray wide = Nd4j.createUninitializedDetached(input.value().dtype(), 'c', sizes);
    return wide.assign(weights.castTo(input.value().dtype()).reshape(shape).broadcast(sizes));
  }

  /** Weights of ones, which is what no weights mean. */
  private INDArray ones(StepGraph.Input input) {
    return Nd4j.createUninitializedDetached(input.value().dtype(), 'c', sizes(input)).assign(1);
  }

  /** The sizes of weights: open ones are those of the labels, or of the first input that has as many axes. */
  private long[] sizes(StepGraph.Input input) {
    List<INDArray> others = new ArrayList<>();
    for (StepGraph.Input other : expected) {
      boolean labels = other.role() == StepGraph.Role.Y && other.of().equals(input.of());
      others.add(labels ? 0 : others.size(), inputs.get(other.value().name()));
    }
    long[] shape = input.value().shape();
    for (int i = 0; i < shape.length; i++) {
      for (INDArray other : others) {
        if (shape[i] == ValueInfo.ANY && other != null && other.rank() > i) {
          shape[i] = other.size(i);
        }
      }
    }
    return shape;
  }

  private void sameBatch() {
    Set<Long> sizes = new LinkedHashSet<>();
    expected.stream().filter(input -> input.value().shape().length > 0 && input.value().shape()[0] == ValueInfo.ANY).forEach(
        input -> sizes.add(inputs.get(input.value().name()).size(0)));
    if (sizes.size() > 1) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected as many labels and sample weights as there are samples. Received: batches of " + sizes
              + ". Give arrays whose first axes have the same size.");
    }
  }

  private String describe() {
    List<String> parts = new ArrayList<>();
    expected.forEach(input -> parts.add(named(input.role()) + " of '" + input.of() + "' (" + input.value() + classes(input) + ")"));
    return String.join(", ", parts);
  }

  private static String classes(StepGraph.Input input) {
    return input.classes() == null ? "" : ", class numbers from 0 to " + (input.classes() - 1);
  }

  private static String named(StepGraph.Role role) {
    return role == StepGraph.Role.X ? "input" : role == StepGraph.Role.Y ? "labels" : "sample weights";
  }

  private static String describe(INDArray array) {
    ElementType type = ElementType.of(array.dataType());
    return (type == null ? array.dataType().toString() : type.kerasName()) + Arrays.toString(array.shape());
  }
}
