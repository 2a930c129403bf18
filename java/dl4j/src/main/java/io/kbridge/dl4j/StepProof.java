package io.kbridge.dl4j;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.bundle.Bundle;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import org.deeplearning4j.nn.conf.layers.DropoutLayer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Compares one training step of a network with kbridge's own, whose numbers are Keras's: on the golden samples, with made-up labels. Steps that draw
 * random numbers cannot be compared.
 */
final class StepProof {
  private StepProof() {}

  /**
   * Compares.
   *
   * @param bundle the bundle
   * @param plan the network's plan
   * @param samples inputs by name
   * @param step trains a copy of the network with inputs and labels, in order, and returns its weights
   */
  static void run(
      Bundle bundle, NetworkPlan plan, Map<String, INDArray> samples, BiFunction<INDArray[], INDArray[], Map<String, INDArray>> step) {
    boolean draws = plan.vertices().stream().anyMatch(vertex -> vertex.layer() instanceof DropoutLayer);
    if (!plan.training().compiled() || draws) {
      return;
    }
    Map<String, INDArray> labels = new LinkedHashMap<>();
    List<INDArray> forNetwork = new ArrayList<>();
    long batch = samples.values().iterator().next().size(0);
    for (int i = 0; i < bundle.graph().outputs().size(); i++) {
      ValueInfo output = bundle.graph().outputs().get(i).declared();
      INDArray label = label(batch, output.shape()[output.shape().length - 1], Losses.isSparse(plan.training(), i));
      labels.put(output.name(), label);
      forNetwork.add(label.dup());
    }
    ExpectedStep expected = new ExpectedStep(bundle, samples, labels);
    INDArray[] inputs = samples.values().stream().map(x -> x.castTo(DataType.FLOAT).dup('c')).toArray(INDArray[]::new);
    Map<String, INDArray> found = trained(() -> step.apply(inputs, forNetwork.toArray(new INDArray[0])));
    Set<String> wrong = expected.differences(found);
    if (!wrong.isEmpty()) {
      throw new KBridgeException(
          ErrorCode.SELF_TEST_FAILED,
          "Expected a network that trains as Keras does. Received: after one step other numbers in " + wrong
              + ". DL4J trains this model differently: train it with kbridge, and please report it.");
    }
  }

  private static Map<String, INDArray> trained(Supplier<Map<String, INDArray>> step) {
    try {
      return step.get();
    } catch (KBridgeException e) {
      throw e;
    } catch (RuntimeException e) {
      // NB: DL4J has no class of its own for what fails inside.
      throw new KBridgeException(
          ErrorCode.SELF_TEST_FAILED,
          "Expected a network that trains as Keras does. Received: DL4J fails in the first step (" + e
              + "). Train this model with kbridge, and please report it.",
          e);
    }
  }

  /** Class numbers for a sparse loss, and otherwise one of the numbers of each sample 1, which suits every loss that DL4J has. */
  private static INDArray label(long batch, long classes, boolean sparse) {
    INDArray labels = Nd4j.zeros(DataType.FLOAT, batch, sparse ? 1 : classes);
    for (long i = 0; i < batch; i++) {
      labels.putScalar(i, sparse ? 0 : i % classes, sparse ? i % classes : 1);
    }
    return labels;
  }
}
