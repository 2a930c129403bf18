package io.kbridge.dl4j;

import io.kbridge.graph.GraphInput;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import java.util.LinkedHashMap;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Inputs to compare two forms of a model with. */
final class Samples {
  private static final int BATCH = 3;
  private static final int OPEN = 7;

  private Samples() {}

  /** Random numbers around 0, and zeros for integers, whose range is not known. */
  static Map<String, INDArray> of(ModelGraph graph) {
    Map<String, INDArray> samples = new LinkedHashMap<>();
    for (GraphInput input : graph.inputs()) {
      long[] shape = input.value().shape();
      for (int i = 0; i < shape.length; i++) {
        shape[i] = shape[i] != ValueInfo.ANY ? shape[i] : i == 0 ? BATCH : OPEN;
      }
      INDArray array = Nd4j.create(input.value().dtype(), shape);
      samples.put(input.value().name(), input.value().dtype().isFPType() ? Nd4j.randn(shape).castTo(array.dataType()) : array);
    }
    return samples;
  }
}
