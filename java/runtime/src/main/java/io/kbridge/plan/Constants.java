package io.kbridge.plan;

import io.kbridge.graph.GraphNode;
import java.util.HashMap;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** What is the same in every call: weights, constants, and nodes computed from those alone. Shared by all plans of a model. */
final class Constants implements AutoCloseable {
  private final Map<String, Value> values = new HashMap<>();
  private final Arena arena = new Arena();
  private final boolean folding;

  Constants(Map<String, INDArray> arrays) {
    this(arrays, true);
  }

  private Constants(Map<String, INDArray> arrays, boolean folding) {
    this.folding = folding;
    arrays.forEach((name, array) -> values.put(name, new Value(array, null, true)));
  }

  /** Nothing is constant: every node is compiled, none is run. */
  static Constants none() {
    return new Constants(Map.of(), false);
  }

  Map<String, Value> values() {
    return values;
  }

  /** Tells whether a node depends on nothing that changes; the nodes it reads have been offered to {@link #fold} before. */
  boolean isConstant(GraphNode node) {
    return folding
        && node.shapeReferences().isEmpty()
        && node.inputs().stream().allMatch(input -> input == null || values.containsKey(input));
  }

  /** Computes a constant node, unless that has been done. */
  void fold(GraphNode node, OpRegistry registry) {
    if (values.containsKey(node.outputs().get(0).name())) {
      return;
    }
    NodeContext.Bodies bodies = body -> GraphCompiler.ofBody(registry, this, arena, Engine.Session.NONE, body, values, (name, array) -> {});
    NodeContext context = new NodeContext(node, values, arena, bodies, Map.of(), true, value -> false);
    Step step = context.compile(registry.get(node.op()));
    if (step != null) {
      try {
        step.run();
      } catch (RuntimeException e) {
        throw context.failed("to run", e);
      }
    }
    for (int i = 0; i < node.outputs().size(); i++) {
      // NB: without its block, so that no plan gives the memory back after its own last reader.
      values.put(node.outputs().get(i).name(), new Value(context.output(i).array(), null, true));
    }
  }

  @Override
  public void close() {
    arena.close();
  }
}
