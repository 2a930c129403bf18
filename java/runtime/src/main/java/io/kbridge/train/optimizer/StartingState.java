package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.ElementType;
import io.kbridge.plan.NativeArrays;
import java.util.ArrayList;
import java.util.List;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** The variables of an optimizer that Keras has not built yet: those, in that order and with those values, that it would make. */
final class StartingState {
  static final String AVERAGE = "average";
  static final String ACCUMULATOR = "gradient_accumulator";

  private final String optimizer;
  private final UpdateRule rule;
  private final Common common;

  StartingState(String optimizer, UpdateRule rule, Common common) {
    this.optimizer = optimizer;
    this.rule = rule;
    this.common = common;
  }

  List<OptimizerVariable> variables(List<TrainedWeight> weights) {
    List<OptimizerVariable> variables = new ArrayList<>();
    if (common.usesAverage) {
      weights.forEach(weight -> variables.add(make(weight, Slot.zeros(AVERAGE))));
    }
    if (common.accumulationSteps > 0) {
      weights.forEach(weight -> variables.add(make(weight, Slot.zeros(ACCUMULATOR))));
    }
    int groups = weights.stream().mapToInt(weight -> rule.slots(weight).size()).max().orElse(0);
    for (int group = 0; group < groups; group++) {
      for (TrainedWeight weight : weights) {
        rule.slots(weight).get(group).forEach(slot -> variables.add(make(weight, slot)));
      }
    }
    rule.globals().forEach(slot -> variables.add(global(slot)));
    return variables;
  }

  private static OptimizerVariable variable(String name, Slot slot, String weight, INDArray array) {
    return variable(name, slot.name(), weight, slot.type(), array);
  }

  /** A variable with an entry as bundles have them; its place is settled when it is saved. */
  static OptimizerVariable variable(String name, String slot, String weight, ElementType type, INDArray array) {
    ObjectNode entry = JsonNodeFactory.instance.objectNode();
    entry.put("name", name).put("path", "").put("slot", slot).put("weight", weight).put("dtype", type.kerasName());
    for (long size : array.shape()) {
      entry.withArray("shape").add(size);
    }
    if (array.rank() == 0) {
      entry.putArray("shape");
    }
    return new OptimizerVariable(entry, array);
  }

  private OptimizerVariable make(TrainedWeight weight, Slot slot) {
    String path = weight.path();
    String name = slot.plain() ? path.substring(path.lastIndexOf('/') + 1) : path.replace('/', '_') + "_" + slot.name();
    INDArray array =
        slot.start() == Slot.Start.WEIGHT ? NativeArrays.copy(weight.array()) : filled(slot, slot.shape(weight.shape()));
    return variable(optimizer + "/" + name, slot, weight.name(), array);
  }

  private OptimizerVariable global(Slot slot) {
    // NB: Keras numbers such variables; nobody relies on the number.
    return variable(optimizer + "/variable", slot, null, filled(slot, new long[0]));
  }

  private static INDArray filled(Slot slot, long[] shape) {
    INDArray array = Nd4j.createUninitializedDetached(slot.type().dataType(), 'c', shape);
    array.assign(slot.number());
    return array;
  }
}
