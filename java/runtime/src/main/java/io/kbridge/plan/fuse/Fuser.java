package io.kbridge.plan.fuse;

import io.kbridge.graph.GraphNode;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiPredicate;
import java.util.function.Predicate;

/**
 * Finds chains in a list of nodes. Looks at ops and at who reads what, not at shapes: whoever computes a chain cuts off what the shapes at
 * hand do not allow.
 */
public final class Fuser {
  private final Predicate<GraphNode> heads;
  private final BiPredicate<GraphNode, String> links;
  private final BiPredicate<GraphNode, GraphNode> pads;

  /**
   * Makes a fuser.
   *
   * @param heads tells which nodes may be the head of a chain
   * @param links tells which nodes may be applied to a value of the given name
   * @param pads tells for a padding and the node that reads it whether the two may be one
   */
  public Fuser(
      Predicate<GraphNode> heads, BiPredicate<GraphNode, String> links, BiPredicate<GraphNode, GraphNode> pads) {
    this.heads = heads;
    this.links = links;
    this.pads = pads;
  }

  /**
   * Finds the longest chains, from the first node on.
   *
   * @param nodes the nodes, in the order they run
   * @param visible tells which values have to exist in memory by themselves
   * @return chains that have every node once, in an order in which they can run
   */
  public List<Chain> fuse(List<GraphNode> nodes, Predicate<String> visible) {
    Map<String, List<GraphNode>> readers = new HashMap<>();
    for (GraphNode node : nodes) {
      Set.copyOf(present(node)).forEach(input -> readers.computeIfAbsent(input, key -> new ArrayList<>()).add(node));
    }
    Map<GraphNode, Chain> byLast = new IdentityHashMap<>();
    Map<GraphNode, Boolean> taken = new IdentityHashMap<>();
    for (GraphNode node : nodes) {
      if (!taken.containsKey(node)) {
        Chain chain = chainFrom(node, value -> onlyReader(value, readers, visible), taken);
        List<GraphNode> members = chain.members();
        members.forEach(member -> taken.put(member, true));
        byLast.put(members.get(members.size() - 1), chain);
      }
    }
    List<Chain> chains = new ArrayList<>();
    for (GraphNode node : nodes) {
      if (byLast.containsKey(node)) {
        chains.add(byLast.get(node));
      }
    }
    return chains;
  }

  /** Gives the node that alone reads a value. */
  @FunctionalInterface
  private interface Reader {
    GraphNode of(String value);
  }

  private static GraphNode onlyReader(String value, Map<String, List<GraphNode>> readers, Predicate<String> visible) {
    List<GraphNode> found = readers.getOrDefault(value, List.of());
    return found.size() == 1 && !visible.test(value) ? found.get(0) : null;
  }

  private Chain chainFrom(GraphNode first, Reader reader, Map<GraphNode, Boolean> taken) {
    GraphNode pad = null;
    GraphNode head = first;
    GraphNode next = only(head, reader, taken);
    if (next != null && first.op().equals("Pad") && pads.test(first, next)) {
      pad = first;
      head = next;
    }
    List<GraphNode> links = new ArrayList<>();
    if (heads.test(head)) {
      GraphNode last = head;
      next = only(last, reader, taken);
      while (next != null && this.links.test(next, last.outputs().get(0).name())) {
        links.add(next);
        last = next;
        next = only(last, reader, taken);
      }
    }
    return new Chain(pad, head, links);
  }

  private static GraphNode only(GraphNode node, Reader reader, Map<GraphNode, Boolean> taken) {
    GraphNode next = node.outputs().size() == 1 ? reader.of(node.outputs().get(0).name()) : null;
    return next == null || taken.containsKey(next) || next.outputs().size() != 1 ? null : next;
  }

  private static List<String> present(GraphNode node) {
    List<String> inputs = new ArrayList<>(node.inputs());
    inputs.removeIf(input -> input == null);
    return new ArrayList<>(Set.copyOf(inputs));
  }
}
