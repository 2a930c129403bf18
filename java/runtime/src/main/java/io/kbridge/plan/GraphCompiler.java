package io.kbridge.plan;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiConsumer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Compiles the nodes of one graph, the model's or a body's. Nodes that nothing wanted depends on are left out; nodes that depend on constants
 * alone are computed once for all plans; memory of a value is used again after its last reader.
 */
final class GraphCompiler {
  private final OpRegistry registry;
  private final Constants constants;
  private final Arena arena;
  private final Engine.Session session;
  private final boolean isBody;
  private final Liveness live;
  private final Map<String, Value> values;
  // NB: values of this graph, not of one around it, whose memory has not been given back.
  private final Set<String> held = new HashSet<>();
  private final Map<String, Place> places = new HashMap<>();
  private final Set<String> wanted;
  private final BiConsumer<String, INDArray> observer;

  /**
   * Starts on a graph.
   *
   * @param registry the ops to compile with
   * @param constants what is the same in every call
   * @param arena where values are placed
   * @param session the engine's part in the plan
   * @param isBody whether this is a body, which may run again over the same memory
   * @param nodes the graph's nodes
   * @param wanted names of the values it is to give
   * @param around the values of the graph around it
   * @param observer is told of each value that is placed, in this graph and its bodies
   */
  GraphCompiler(
      OpRegistry registry,
      Constants constants,
      Arena arena,
      Engine.Session session,
      boolean isBody,
      List<GraphNode> nodes,
      Collection<String> wanted,
      Map<String, Value> around,
      BiConsumer<String, INDArray> observer) {
    this.registry = registry;
    this.constants = constants;
    this.arena = arena;
    this.session = session;
    this.isBody = isBody;
    this.live = new Liveness(nodes, wanted);
    this.values = new HashMap<>(around);
    this.wanted = new HashSet<>(wanted);
    this.observer = observer;
  }

  /** Starts on a body of one of this graph's nodes. */
  GraphCompiler inner(GraphBody body) {
    return ofBody(registry, constants, arena, session, body, values, observer);
  }

  /** Starts on a body; its memory is its own until {@link #release}. */
  static GraphCompiler ofBody(
      OpRegistry registry,
      Constants constants,
      Arena arena,
      Engine.Session session,
      GraphBody body,
      Map<String, Value> around,
      BiConsumer<String, INDArray> observer) {
    return new GraphCompiler(registry, constants, new Arena(arena), session, true, body.nodes(), body.outputs(), around, observer);
  }

  /** Gives an input its memory, which is given back after the last reader. */
  void input(String name, Value value) {
    values.put(name, value);
    held.add(name);
    observer.accept(name, value.array());
  }

  /** Offers memory for a value: it is computed there if nobody else needs that memory by then. */
  void offer(String name, Place place) {
    places.putIfAbsent(name, place);
  }

  /** Tells whether anything needed reads a value. */
  boolean isRead(String name) {
    return live.readers(name) > 0;
  }

  Value value(String name) {
    Value value = values.get(name);
    if (value == null) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected the value '" + name + "'. Received: a call without that optional input. Give it, or do not ask for it.");
    }
    return value;
  }

  /** Compiles all nodes into steps. */
  StepList compile() {
    List<GraphNode> rest = foldConstants();
    StepList.Builder steps = new StepList.Builder();
    group(rest, rest).forEach(node -> compile(node, places, steps));
    return steps.build();
  }

  /**
   * Compiles the nodes in two parts.
   *
   * @param varying names of the values that change from run to run
   * @return the steps of the nodes that depend on none of those, and the steps of the others
   */
  StepList[] compileParts(Collection<String> varying) {
    Set<String> changing = new HashSet<>(varying);
    List<GraphNode> first = new ArrayList<>();
    List<GraphNode> later = new ArrayList<>();
    List<GraphNode> all = foldConstants();
    for (GraphNode node : all) {
      if (node.inputs().stream().anyMatch(changing::contains)) {
        node.outputs().forEach(output -> changing.add(output.name()));
        later.add(node);
      } else {
        first.add(node);
      }
    }
    StepList.Builder once = new StepList.Builder();
    for (GraphNode node : group(first, all)) {
      // NB: kept through all runs, and so never in memory that is offered for one.
      node.outputs().forEach(output -> live.keep(output.name()));
      compile(node, Map.of(), once);
    }
    StepList.Builder each = new StepList.Builder();
    group(later, all).forEach(node -> compile(node, places, each));
    return new StepList[] {once.build(), each.build()};
  }

  /** Returns how much memory the graph's values and temporaries take. */
  long bytes() {
    return arena.bytes();
  }

  /** Gives back all memory of a body; what is compiled from then on may use it. */
  void release() {
    new ArrayList<>(held).forEach(this::release);
    arena.close();
  }

  private List<GraphNode> foldConstants() {
    List<GraphNode> rest = new ArrayList<>();
    for (GraphNode node : live.nodes()) {
      if (constants.isConstant(node)) {
        constants.fold(node, registry);
      } else {
        rest.add(node);
      }
    }
    values.putAll(constants.values());
    return rest;
  }

  /** Lets the engine put nodes together; what others read of them, or want, stays a value of its own. */
  private List<GraphNode> group(List<GraphNode> nodes, List<GraphNode> all) {
    Set<String> visible = new HashSet<>();
    Set<GraphNode> inside = new HashSet<>(nodes);
    for (GraphNode node : all) {
      visible.addAll(node.shapeReferences());
      if (!inside.contains(node)) {
        visible.addAll(node.inputs());
      }
    }
    List<GraphNode> grouped = session.group(nodes, constants.values()::containsKey, name -> visible.contains(name) || wanted.contains(name));
    live.replace(nodes, grouped);
    return grouped;
  }

  private void compile(GraphNode node, Map<String, Place> offered, StepList.Builder steps) {
    NodeContext context =
        new NodeContext(node, values, arena, this::inner, offered, false, value -> !isBody && held.contains(value) && live.readers(value) == 1);
    OpMapping mapping = context.lower(session);
    if (mapping == null) {
      List<GraphNode> parts = session.split(node);
      if (parts.size() > 1) {
        live.replace(List.of(node), parts);
        parts.forEach(part -> compile(part, offered, steps));
        return;
      }
      mapping = registry.get(node.op());
    }
    steps.add(context.compile(mapping), context);
    for (int i = 0; i < node.outputs().size(); i++) {
      String name = node.outputs().get(i).name();
      values.put(name, context.output(i));
      observer.accept(name, context.output(i).array());
      held.add(name);
      if (live.readers(name) == 0) {
        release(name);
      }
    }
    // NB: only now, so that no output of this node lies where one of its inputs does.
    for (String input : Liveness.distinctInputs(node)) {
      if (live.finishReading(input)) {
        release(input);
      }
    }
  }

  private void release(String name) {
    if (held.remove(name)) {
      values.get(name).release();
    }
  }
}
