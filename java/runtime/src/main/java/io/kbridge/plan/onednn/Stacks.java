package io.kbridge.plan.onednn;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import io.kbridge.plan.fuse.Chain;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/** Finds recurrent layers on top of each other: each reads the answers of the one before, and nothing else reads anything of that one. */
final class Stacks {
  private final Predicate<String> visible;
  private final Map<String, Integer> readers = new HashMap<>();
  private final Map<GraphNode, List<GraphNode>> stacks = new IdentityHashMap<>();

  private Stacks(List<Chain> chains, Predicate<String> visible) {
    this.visible = visible;
    chains.forEach(chain -> Set.copyOf(present(chain.node())).forEach(input -> readers.merge(input, 1, Integer::sum)));
  }

  /**
   * Puts stacks together.
   *
   * @param chains the plan's chains
   * @param visible tells which values others read
   * @return for each node that stands for a stack, at the place of its last layer, the layers' nodes
   */
  static Map<GraphNode, List<GraphNode>> find(List<Chain> chains, Predicate<String> visible) {
    Stacks found = new Stacks(chains, visible);
    Map<String, GraphNode> tops = new HashMap<>();
    for (Chain chain : chains) {
      GraphNode node = chain.node();
      if (node.op().equals("Scan")) {
        // NB: a layer that goes backwards needs all of the one before.
        boolean follows = !node.inputs().isEmpty() && !node.attrs().getBoolean("reverse");
        GraphNode below = follows ? tops.get(node.inputs().get(0)) : null;
        List<GraphNode> layers = new ArrayList<>(below == null ? List.of() : found.stacks.getOrDefault(below, List.of(below)));
        layers.add(node);
        GraphNode top = below == null ? node : merged(layers);
        if (below != null) {
          found.stacks.remove(below);
          found.stacks.put(top, layers);
        }
        if (found.feedsOne(node)) {
          tops.put(node.outputs().get(node.attrs().getInt("num_states")).name(), top);
        }
      }
    }
    return found.stacks;
  }

  /** Tells whether a node's answers are read by one other node, and its last states by none. */
  private boolean feedsOne(GraphNode scan) {
    int states = scan.attrs().getInt("num_states");
    for (int i = 0; i < scan.outputs().size(); i++) {
      String name = scan.outputs().get(i).name();
      if (visible.test(name) || readers.getOrDefault(name, 0) != (i == states ? 1 : 0)) {
        return false;
      }
    }
    return scan.outputs().size() == states + 1;
  }

  private static List<String> present(GraphNode node) {
    List<String> inputs = new ArrayList<>(node.inputs());
    inputs.removeIf(input -> input == null);
    return inputs;
  }

  private static GraphNode merged(List<GraphNode> layers) {
    Set<String> inputs = new LinkedHashSet<>();
    List<GraphBody> bodies = new ArrayList<>();
    List<String> ops = new ArrayList<>();
    for (GraphNode layer : layers) {
      inputs.addAll(present(layer));
      bodies.addAll(layer.bodies());
      ops.add(layer.op());
    }
    for (GraphNode layer : layers) {
      layer.outputs().stream().map(ValueInfo::name).forEach(inputs::remove);
    }
    GraphNode last = layers.get(layers.size() - 1);
    Attributes none = new Attributes(JsonNodeFactory.instance.objectNode(), last.toString());
    return new GraphNode(last.name(), String.join("+", ops), last.scope(), new ArrayList<>(inputs), none, last.outputs(), bodies);
  }
}
