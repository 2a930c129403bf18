package io.kbridge;

import io.kbridge.graph.ElementType;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Checks what a caller gives against what a model expects: all problems in one message. */
final class InputCheck {
  private InputCheck() {}

  /** Returns the inputs in the model's order. */
  static Map<String, INDArray> check(Map<String, TensorInfo> expected, Map<String, INDArray> given) {
    List<String> problems = new ArrayList<>();
    Map<String, INDArray> ordered = new LinkedHashMap<>();
    for (TensorInfo info : expected.values()) {
      INDArray array = given.get(info.name());
      if (array != null) {
        checkOne(info, array, problems);
        ordered.put(info.name(), array);
      } else if (!info.optional()) {
        problems.add("nothing for '" + info.name() + "'");
      }
    }
    for (String name : given.keySet()) {
      if (!expected.containsKey(name)) {
        problems.add("'" + name + "', which is no input of this model");
      }
    }
    if (!problems.isEmpty()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected the inputs " + expected.values() + ". Received: " + String.join("; ", problems)
              + ". Give each input by its name, with its rank, sizes and element type (INDArray.castTo changes the type).");
    }
    return ordered;
  }

  private static void checkOne(TensorInfo info, INDArray array, List<String> problems) {
    ElementType type = ElementType.of(array.dataType());
    if (type != info.elementType() || !info.accepts(array.shape())) {
      String name = type == null ? array.dataType().toString() : type.kerasName();
      problems.add("'" + info.name() + "' as " + name + Arrays.toString(array.shape()));
    }
  }
}
