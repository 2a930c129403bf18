package io.kbridge.plan.fuse;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.GraphNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * Nodes that may be computed as one: perhaps a padding, a head, and links, each of which changes the result of the one before, element by
 * element. Nothing else reads what is between them. Immutable.
 */
public final class Chain {
  private final GraphNode pad;
  private final GraphNode head;
  private final List<GraphNode> links;
  private final GraphNode node;

  /**
   * Makes a chain.
   *
   * @param pad what pads the head's first input, or null
   * @param head the first node, or the one after the padding
   * @param links the others, in order
   */
  public Chain(GraphNode pad, GraphNode head, List<GraphNode> links) {
    this.pad = pad;
    this.head = head;
    this.links = Collections.unmodifiableList(new ArrayList<>(links));
    this.node = pad == null && links.isEmpty() ? head : merged();
  }

  /**
   * Returns the padding.
   *
   * @return the node, or null
   */
  public GraphNode pad() {
    return pad;
  }

  /**
   * Returns the head.
   *
   * @return the node
   */
  public GraphNode head() {
    return head;
  }

  /**
   * Returns what is applied to the head's result.
   *
   * @return the nodes, in order
   */
  public List<GraphNode> links() {
    return links;
  }

  /**
   * Returns all nodes.
   *
   * @return padding, head and links
   */
  public List<GraphNode> members() {
    List<GraphNode> members = new ArrayList<>();
    if (pad != null) {
      members.add(pad);
    }
    members.add(head);
    members.addAll(links);
    return members;
  }

  /**
   * Returns the node that stands for the chain.
   *
   * @return the only member itself, or a node that reads what the members read from others and gives what the last one gives
   */
  public GraphNode node() {
    return node;
  }

  /**
   * Returns what the head's first input is before any padding.
   *
   * @return the value's name
   */
  public String source() {
    return (pad == null ? head : pad).inputs().get(0);
  }

  /**
   * Returns the value a link changes.
   *
   * @param link which link
   * @return the value's name
   */
  public String before(int link) {
    return (link == 0 ? head : links.get(link - 1)).outputs().get(0).name();
  }

  /**
   * Cuts the chain: the last link comes off, or with no link left the padding.
   *
   * @return two chains, in the order they run; this chain alone if it has one member
   */
  public List<Chain> cut() {
    if (!links.isEmpty()) {
      int last = links.size() - 1;
      return List.of(new Chain(pad, head, links.subList(0, last)), new Chain(null, links.get(last), List.of()));
    }
    return pad == null ? List.of(this) : List.of(new Chain(null, pad, List.of()), new Chain(null, head, List.of()));
  }

  private GraphNode merged() {
    List<GraphNode> members = members();
    Set<String> inputs = new LinkedHashSet<>();
    Set<String> inner = new LinkedHashSet<>();
    for (GraphNode member : members) {
      inputs.addAll(member.inputs());
      member.outputs().forEach(output -> inner.add(output.name()));
    }
    inputs.removeAll(inner);
    inputs.remove(null);
    GraphNode last = members.get(members.size() - 1);
    String op = members.stream().map(GraphNode::op).collect(Collectors.joining("+"));
    Attributes none = new Attributes(JsonNodeFactory.instance.objectNode(), last.toString());
    return new GraphNode(last.name(), op, last.scope(), new ArrayList<>(inputs), none, last.outputs());
  }
}
