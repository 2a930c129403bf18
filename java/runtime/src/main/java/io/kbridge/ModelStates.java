package io.kbridge;

import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import io.kbridge.graph.VariableUpdate;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.PlanCache;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * What a model keeps from call to call: the states of its stateful layers. Of a model that keeps something, calls run one after the other; one that
 * fails leaves the states as they were. Thread safe.
 */
final class ModelStates {
  private final ModelGraph graph;
  private final Map<String, INDArray> now;

  /**
   * Makes states.
   *
   * @param graph the model's graph
   * @param first what they start with; arrays of their own
   */
  ModelStates(ModelGraph graph, Map<String, INDArray> first) {
    this.graph = graph;
    this.now = first;
  }

  /** Returns the values that a plan has to give so that states can go on. */
  List<String> wanted() {
    return graph.updates().stream().map(VariableUpdate::value).collect(Collectors.toList());
  }

  /** Makes the next call: it is given the states, and leaves its new ones. */
  Map<String, INDArray> call(PlanCache plans, Map<String, INDArray> inputs) {
    if (now.isEmpty()) {
      return plans.run(inputs);
    }
    synchronized (this) {
      Map<String, INDArray> values = plans.run(with(inputs));
      keep(values);
      return values;
    }
  }

  /** Makes the next call, and lets its values be read where they lie. */
  <T> T call(PlanCache plans, Map<String, INDArray> inputs, Function<Map<String, INDArray>, T> reader) {
    if (now.isEmpty()) {
      return plans.run(inputs, reader);
    }
    synchronized (this) {
      return plans.run(
          with(inputs),
          values -> {
            keep(values);
            return reader.apply(values);
          });
    }
  }

  /** Returns what a call is given that leaves the states as they are: the inputs, and copies of the states. */
  Map<String, INDArray> beside(Map<String, INDArray> inputs) {
    Map<String, INDArray> all = new LinkedHashMap<>(inputs);
    all.putAll(copies());
    return all;
  }

  /** Returns the states as they are now, by name. */
  synchronized Map<String, INDArray> copies() {
    Map<String, INDArray> copies = new LinkedHashMap<>();
    now.forEach((name, array) -> copies.put(name, array.isEmpty() ? array : NativeArrays.copy(array)));
    return copies;
  }

  /** Sets states; those that are left out stay. */
  synchronized void set(Map<String, INDArray> given) {
    given.forEach(
        (name, array) -> {
          ArrayEntry state = graph.states().get(name);
          ValueInfo info = state == null ? null : state.value();
          if (info == null || info.dtype() != array.dataType() || !Arrays.equals(info.shape(), array.shape())) {
            throw new KBridgeException(
                ErrorCode.INVALID_INPUT,
                "Expected states of '" + graph.name() + "': "
                    + graph.states().values().stream().map(entry -> entry.value().toString()).collect(Collectors.joining(", "))
                    + ". Received: '" + name + "' as " + array.dataType() + Arrays.toString(array.shape()) + ". Give arrays as states() returns them.");
          }
        });
    given.forEach((name, array) -> copy(array, now.get(name)));
  }

  /** Sets all states to zero, as Keras does. */
  synchronized void reset() {
    now.values().stream().filter(array -> !array.isEmpty()).forEach(array -> array.assign(0));
  }

  private Map<String, INDArray> with(Map<String, INDArray> inputs) {
    Map<String, INDArray> all = new LinkedHashMap<>(inputs);
    all.putAll(now);
    return all;
  }

  private void keep(Map<String, INDArray> values) {
    graph.updates().forEach(update -> copy(values.get(update.value()), now.get(update.variable())));
  }

  private static void copy(INDArray from, INDArray to) {
    if (!to.isEmpty()) {
      NativeArrays.copy(NativeArrays.isDense(from) ? from : from.dup('c'), to);
    }
  }
}
