package io.kbridge.plan;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ModelGraph;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Compiles a graph into plans. Nodes that nothing wanted depends on are left out; nodes that depend on constants alone are computed once for
 * all plans; memory of a value is used again after its last reader. Thread safe.
 */
public final class PlanCompiler implements AutoCloseable {
  private final ModelGraph graph;
  private final OpRegistry registry;
  private final Constants constants;

  /**
   * Makes a compiler.
   *
   * @param graph the graph
   * @param arrays the content of its weights and constants
   * @param registry the ops to compile with
   * @throws KBridgeException UNSUPPORTED_OP, naming all of them, if the graph has ops the registry lacks
   */
  public PlanCompiler(ModelGraph graph, Map<String, INDArray> arrays, OpRegistry registry) {
    this.graph = graph;
    this.registry = registry;
    this.constants = new Constants(arrays);
    requireKnownOps();
  }

  /**
   * Compiles a plan.
   *
   * @param shapes the shape of each input that is given
   * @param wanted names of the values it is to give
   * @return the plan; the caller closes it
   */
  public synchronized Plan compile(Map<String, long[]> shapes, Collection<String> wanted) {
    Arena arena = new Arena();
    boolean done = false;
    try {
      Plan plan = new Compilation(arena, wanted).compile(shapes, wanted);
      done = true;
      return plan;
    } catch (OutOfMemoryError e) {
      throw new KBridgeException(
          ErrorCode.OUT_OF_MEMORY,
          "Expected memory to compile a plan for " + describe(shapes) + ". Received: " + e.getMessage()
              + ". Use smaller batches, or raise -Xmx and -Dorg.bytedeco.javacpp.maxbytes.",
          e);
    } finally {
      if (!done) {
        arena.close();
      }
    }
  }

  /** Gives the memory of computed constants back; no plan of this compiler may run again. */
  @Override
  public synchronized void close() {
    constants.close();
  }

  private void requireKnownOps() {
    Map<String, List<String>> unknown = new TreeMap<>();
    for (GraphNode node : graph.nodes()) {
      if (!registry.contains(node.op())) {
        unknown.computeIfAbsent(node.op(), op -> new ArrayList<>()).add("'" + node.scope() + "'");
      }
    }
    if (!unknown.isEmpty()) {
      StringBuilder list = new StringBuilder();
      unknown.forEach(
          (op, scopes) -> {
            List<String> some = scopes.subList(0, Math.min(3, scopes.size()));
            list.append(list.length() == 0 ? "" : "; ").append(op).append(" (").append(scopes.size())
                .append(" in layers ").append(String.join(", ", some))
                .append(some.size() < scopes.size() ? ", ..." : "").append(")");
          });
      throw new KBridgeException(
          ErrorCode.UNSUPPORTED_OP,
          "Expected ops this runtime knows (" + registry.names().size() + " are registered). Received: " + list
              + ". Use a newer kbridge runtime, or register mappings for them (io.kbridge.plan.OpMappings).");
    }
  }

  private static String describe(Map<String, long[]> shapes) {
    StringBuilder text = new StringBuilder();
    shapes.forEach(
        (name, shape) -> text.append(text.length() == 0 ? "" : ", ").append(name).append(' ').append(Arrays.toString(shape)));
    return text.toString();
  }

  /** One plan in the making. */
  private final class Compilation {
    private final Arena arena;
    private final Liveness live;
    private final Map<String, Value> values = new HashMap<>();
    private final Map<String, INDArray> inputs = new LinkedHashMap<>();
    private final List<Step> steps = new ArrayList<>();
    private final List<NodeContext> contexts = new ArrayList<>();

    Compilation(Arena arena, Collection<String> wanted) {
      this.arena = arena;
      this.live = new Liveness(graph, wanted);
    }

    Plan compile(Map<String, long[]> shapes, Collection<String> wanted) {
      placeInputs(shapes);
      for (GraphNode node : live.nodes()) {
        if (constants.isConstant(node)) {
          constants.fold(node, registry.get(node.op()));
        }
      }
      values.putAll(constants.values());
      for (GraphNode node : live.nodes()) {
        if (!values.containsKey(node.outputs().get(0).name())) {
          compile(node);
        }
      }
      Map<String, INDArray> outputs = new LinkedHashMap<>();
      wanted.forEach(name -> outputs.put(name, valueOf(name).array()));
      return new Plan(inputs, outputs, steps, contexts, arena);
    }

    private void placeInputs(Map<String, long[]> shapes) {
      for (GraphInput input : graph.inputs()) {
        String name = input.value().name();
        long[] shape = shapes.get(name);
        if (shape == null) {
          continue;
        }
        Value value = place(input, shape);
        inputs.put(name, value.array());
        values.put(name, value);
      }
    }

    private Value place(GraphInput input, long[] shape) {
      long bytes = Math.multiplyExact(NativeArrays.length(shape), (long) input.value().type().bytes());
      if (bytes == 0) {
        return new Value(NativeArrays.empty(input.value().dtype(), shape), null, false);
      }
      // NB: an input keeps its memory for the whole plan even if nothing reads it: it is written before the first step.
      Arena.Block block = arena.allocate(bytes);
      return new Value(NativeArrays.over(block.pointer(), input.value().dtype(), shape), block, false);
    }

    private void compile(GraphNode node) {
      NodeContext context = new NodeContext(node, values, arena, false);
      Step step = context.compile(registry.get(node.op()));
      if (step != null) {
        steps.add(step);
        contexts.add(context);
      }
      for (int i = 0; i < node.outputs().size(); i++) {
        String name = node.outputs().get(i).name();
        values.put(name, context.output(i));
        if (live.readers(name) == 0) {
          context.output(i).release();
        }
      }
      // NB: only now, so that no output of this node lies where one of its inputs does.
      for (String input : Liveness.distinctInputs(node)) {
        if (live.finishReading(input) && values.containsKey(input)) {
          values.get(input).release();
        }
      }
    }

    private Value valueOf(String name) {
      Value value = values.get(name);
      if (value == null) {
        throw new KBridgeException(
            ErrorCode.INVALID_INPUT,
            "Expected the value '" + name + "'. Received: a call without that optional input. Give it, or do not ask for it.");
      }
      return value;
    }
  }
}
