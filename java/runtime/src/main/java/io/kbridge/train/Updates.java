package io.kbridge.train;

import io.kbridge.graph.StepGraph;
import io.kbridge.plan.NativeArrays;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Gives variables what a step has computed for them. */
final class Updates {
  private Updates() {}

  /**
   * Copies new values into variables; the last one of a variable stays.
   *
   * @param updates what is given to which variable
   * @param values the step's values
   * @param variables the variables
   */
  static void write(List<StepGraph.Update> updates, Map<String, INDArray> values, Map<String, INDArray> variables) {
    List<INDArray> sources = new ArrayList<>();
    for (StepGraph.Update update : updates) {
      INDArray value = values.get(update.value());
      // NB: a value may be a variable itself, or a view of one, and that may be written before it is read here.
      boolean borrowed = variables.values().stream().anyMatch(variable -> overlap(variable, value));
      sources.add(borrowed ? value.dup('c') : value);
    }
    for (int i = 0; i < sources.size(); i++) {
      copy(sources.get(i), variables.get(updates.get(i).variable()));
    }
  }

  /** Copies one dense array into another of the same type and shape. */
  static void copy(INDArray from, INDArray to) {
    if (!to.isEmpty()) {
      Pointer.memcpy(NativeArrays.pointer(to), NativeArrays.pointer(from), to.length() * to.dataType().width());
    }
  }

  private static boolean overlap(INDArray a, INDArray b) {
    if (a.isEmpty() || b.isEmpty()) {
      return false;
    }
    long startA = NativeArrays.address(a);
    long startB = NativeArrays.address(b);
    return startA < startB + b.length() * b.dataType().width() && startB < startA + a.length() * a.dataType().width();
  }
}
