package io.kbridge.host;

import io.kbridge.bundle.Bundle;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.ModelGraph;
import io.kbridge.plan.Engine;
import io.kbridge.plan.onednn.OneDnnEngine;
import io.kbridge.train.InputGradients;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** The gradients of a model's inputs, as other languages ask for them. Not thread safe. */
public final class HostGradients implements AutoCloseable {
  private final InputGradients gradients;
  private final List<String> names = new ArrayList<>();
  private final List<ElementType> types = new ArrayList<>();
  private final long[][] shapes;
  private final ModelGraph graph;

  /**
   * Compiles the gradients.
   *
   * @param path the bundle
   * @param shapes the shape of each input, in the model's order
   * @param engine {@code onednn} or {@code nd4j}
   */
  public HostGradients(String path, long[][] shapes, String engine) {
    Bundle bundle = Bundle.open(Paths.get(path), false);
    this.graph = bundle.graph();
    this.shapes = shapes.clone();
    Map<String, long[]> sizes = new LinkedHashMap<>();
    for (GraphInput input : graph.inputs()) {
      sizes.put(input.value().name(), shapes[names.size()]);
      names.add(input.value().name());
      types.add(input.value().type());
    }
    this.gradients = new InputGradients(graph, bundle.arrays(), sizes, engine.equals("onednn") ? new OneDnnEngine(() -> {}) : Engine.NONE);
  }

  /**
   * Returns the ops that are used.
   *
   * @return their names
   */
  public String[] ops() {
    return gradients.ops().toArray(new String[0]);
  }

  /**
   * Computes the gradients.
   *
   * @param inputs addresses of the inputs
   * @param seeds addresses of the gradients of the floating-point outputs
   * @param seedShapes their shapes
   * @return the gradients of the floating-point inputs, in the model's order
   */
  public HostResult run(long[] inputs, long[] seeds, long[][] seedShapes) {
    Map<String, INDArray> given = new LinkedHashMap<>();
    for (int i = 0; i < inputs.length; i++) {
      given.put(names.get(i), HostCall.array(inputs[i], types.get(i), shapes[i]));
    }
    Map<String, INDArray> from = new LinkedHashMap<>();
    int i = 0;
    for (String output : gradients.outputs()) {
      ElementType type = graph.values().get(output).type();
      from.put(output, HostCall.array(seeds[i], type, seedShapes[i]));
      i++;
    }
    return new HostResult(new ArrayList<>(gradients.run(given, from).values()));
  }

  /** Frees the memory. */
  @Override
  public void close() {
    gradients.close();
  }
}
