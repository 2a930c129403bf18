package io.kbridge.plan;

import io.kbridge.graph.GraphNode;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** Which nodes are needed for some values, and how many of them read each value. */
final class Liveness {
  private final List<GraphNode> nodes;
  private final Map<String, Integer> readers = new HashMap<>();

  Liveness(List<GraphNode> all, Collection<String> wanted) {
    Set<String> needed = new HashSet<>(wanted);
    Deque<GraphNode> live = new ArrayDeque<>();
    for (int i = all.size() - 1; i >= 0; i--) {
      GraphNode node = all.get(i);
      if (node.outputs().stream().anyMatch(output -> needed.contains(output.name()))) {
        live.addFirst(node);
        needed.addAll(distinctInputs(node));
        // NB: a node whose shape alone is asked for has to be compiled, but its memory is not kept for that.
        needed.addAll(node.shapeReferences());
      }
    }
    nodes = new ArrayList<>(live);
    nodes.forEach(node -> distinctInputs(node).forEach(this::addReader));
    // NB: one reader that never finishes, so what is wanted lives to the end.
    wanted.forEach(this::keep);
  }

  /** Returns the needed nodes in the order they run. */
  List<GraphNode> nodes() {
    return nodes;
  }

  /** Replaces some nodes by others that read the same values between them, or fewer; before any of them has run. */
  void replace(Collection<GraphNode> old, Collection<GraphNode> by) {
    by.forEach(node -> distinctInputs(node).forEach(this::addReader));
    old.forEach(node -> distinctInputs(node).forEach(this::finishReading));
  }

  /** Returns how many still have to read a value. */
  int readers(String value) {
    return readers.getOrDefault(value, 0);
  }

  /** Lets a value live to the end. */
  void keep(String value) {
    addReader(value);
  }

  /** Notes that one reader is done; returns true if it was the last. */
  boolean finishReading(String value) {
    return readers.merge(value, -1, Integer::sum) == 0;
  }

  static Set<String> distinctInputs(GraphNode node) {
    Set<String> inputs = new HashSet<>(node.inputs());
    inputs.remove(null);
    return inputs;
  }

  private void addReader(String value) {
    readers.merge(value, 1, Integer::sum);
  }
}
