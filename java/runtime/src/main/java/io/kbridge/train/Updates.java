package io.kbridge.train;

import io.kbridge.graph.VariableUpdate;
import io.kbridge.plan.NativeArrays;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Gives variables what a step has computed for them. Bound once: a plan's values and the variables keep their places from run to run. */
final class Updates {
  private final List<INDArray[]> copies = new ArrayList<>();

  /**
   * Works out the copies; of several new values of a variable the last one stays.
   *
   * @param updates what is given to which variable
   * @param values the step's values
   * @param variables the variables
   */
  Updates(List<VariableUpdate> updates, Map<String, INDArray> values, Map<String, INDArray> variables) {
    List<INDArray[]> last = new ArrayList<>();
    for (VariableUpdate update : updates) {
      INDArray value = values.get(update.value());
      INDArray target = variables.get(update.variable());
      if (target.isEmpty()) {
        continue;
      }
      // NB: a value may be a variable itself, or a view of one, and that may be written before it is read here.
      if (variables.values().stream().anyMatch(variable -> NativeArrays.overlap(variable, value))) {
        INDArray between = NativeArrays.copy(value);
        copies.add(new INDArray[] {value, between});
        last.add(new INDArray[] {between, target});
      } else {
        last.add(new INDArray[] {value, target});
      }
    }
    copies.addAll(last);
  }

  /** Copies the values as they are now. */
  void run() {
    copies.forEach(pair -> NativeArrays.copy(pair[0], pair[1]));
  }
}
