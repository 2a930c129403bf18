package io.kbridge.host;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.StepGraph;
import io.kbridge.plan.StepInfo;
import io.kbridge.train.Trainer;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Steps of a trainer with arrays of certain shapes, given by the addresses of their memory. */
public final class HostStep {
  private final Trainer trainer;
  private final List<StepGraph.Input> inputs = new ArrayList<>();
  private final List<long[]> shapes = new ArrayList<>();

  HostStep(Trainer trainer, List<StepGraph.Input> all, long[][] given) {
    this.trainer = trainer;
    for (int i = 0; i < given.length; i++) {
      if (given[i] != null) {
        inputs.add(all.get(i));
        shapes.add(given[i]);
      }
    }
  }

  /**
   * Trains on a batch.
   *
   * @param addresses where the arrays that are given lie, of the types of the inputs
   */
  public void train(long... addresses) {
    Map<StepGraph.Role, Map<String, INDArray>> given = arrays(addresses);
    trainer.trainOnBatch(given.get(StepGraph.Role.X), given.get(StepGraph.Role.Y), given.get(StepGraph.Role.SAMPLE_WEIGHT));
  }

  /**
   * Evaluates a batch.
   *
   * @param addresses where the arrays that are given lie
   */
  public void test(long... addresses) {
    Map<StepGraph.Role, Map<String, INDArray>> given = arrays(addresses);
    trainer.testOnBatch(given.get(StepGraph.Role.X), given.get(StepGraph.Role.Y), given.get(StepGraph.Role.SAMPLE_WEIGHT));
  }

  /**
   * Computes gradients and changes nothing.
   *
   * @param addresses where the arrays that are given lie
   * @return the gradients, in the order of {@link HostTrainer#trained}
   */
  public HostResult gradients(long... addresses) {
    Map<StepGraph.Role, Map<String, INDArray>> given = arrays(addresses);
    Map<String, INDArray> found =
        trainer.gradients(given.get(StepGraph.Role.X), given.get(StepGraph.Role.Y), given.get(StepGraph.Role.SAMPLE_WEIGHT));
    List<INDArray> ordered = new ArrayList<>();
    trainer.optimizer().trained().forEach(name -> ordered.add(found.get(name)));
    return new HostResult(ordered);
  }

  /**
   * Describes what a training step does.
   *
   * @param addresses where the arrays that are given lie
   * @param runs how often to run it, to find out how long each part takes
   * @return a JSON list
   */
  public String planSteps(long[] addresses, int runs) {
    Map<StepGraph.Role, Map<String, INDArray>> given = arrays(addresses);
    ArrayNode list = new ObjectMapper().createArrayNode();
    for (StepInfo step : trainer.planSteps(given.get(StepGraph.Role.X), given.get(StepGraph.Role.Y), runs)) {
      ObjectNode json = list.addObject();
      json.put("node", step.node()).put("ops", step.ops()).put("scope", step.scope()).put("implementation", step.implementation());
      if (runs > 0) {
        json.put("microseconds", step.microseconds());
      }
    }
    return list.toString();
  }

  private Map<StepGraph.Role, Map<String, INDArray>> arrays(long... addresses) {
    if (addresses.length != inputs.size()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT, "Expected the addresses of " + inputs.size() + " arrays. Received: " + addresses.length + ".");
    }
    Map<StepGraph.Role, Map<String, INDArray>> given = new EnumMap<>(StepGraph.Role.class);
    for (StepGraph.Role role : StepGraph.Role.values()) {
      given.put(role, new LinkedHashMap<>());
    }
    for (int i = 0; i < addresses.length; i++) {
      StepGraph.Input input = inputs.get(i);
      given.get(input.role()).put(input.of(), HostCall.array(addresses[i], input.value().type(), shapes.get(i)));
    }
    return given;
  }
}
