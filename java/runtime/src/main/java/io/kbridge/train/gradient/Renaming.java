package io.kbridge.train.gradient;

import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Copies the nodes of a body under other names, to compute them again elsewhere. */
final class Renaming {
  private final Emitter emitter;
  private final Map<String, String> names = new HashMap<>();

  /**
   * Starts on a body.
   *
   * @param emitter writes the copies
   */
  Renaming(Emitter emitter) {
    this.emitter = emitter;
  }

  /** Lets a value stand for one of the body's. */
  void bind(String old, Sym by) {
    names.put(old, by.name());
  }

  /** Returns the name that a value of the body has in the copy; values of the graph around keep theirs. */
  String of(String old) {
    return names.getOrDefault(old, old);
  }

  /** Writes copies of all nodes. */
  void copy(GraphBody body) {
    body.nodes().forEach(node -> emitter.add(copy(node)));
  }

  private GraphNode copy(GraphNode node) {
    List<String> inputs = node.inputs().stream().map(this::of).collect(Collectors.toCollection(ArrayList::new));
    List<GraphBody> bodies = node.bodies().stream().map(this::inner).collect(Collectors.toList());
    List<ValueInfo> outputs = node.outputs().stream().map(this::fresh).collect(Collectors.toList());
    return new GraphNode(outputs.get(0).name(), node.op(), node.scope(), inputs, node.attrs(), outputs, bodies);
  }

  private ValueInfo fresh(ValueInfo value) {
    String name = emitter.fresh(value.name());
    names.put(value.name(), name);
    return new ValueInfo(name, value.shape(), value.type());
  }

  private GraphBody inner(GraphBody body) {
    List<ValueInfo> inputs = body.inputs().stream().map(this::fresh).collect(Collectors.toList());
    List<GraphNode> nodes = body.nodes().stream().map(this::copy).collect(Collectors.toList());
    List<String> outputs = body.outputs().stream().map(this::of).collect(Collectors.toList());
    return new GraphBody(emitter.fresh(body.name()), inputs, nodes, outputs);
  }
}
