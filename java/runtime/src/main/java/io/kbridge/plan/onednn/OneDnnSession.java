package io.kbridge.plan.onednn;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.Engine;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.fuse.Chain;
import io.kbridge.plan.fuse.Fuser;
import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.bytedeco.dnnl.stream;
import org.bytedeco.javacpp.Pointer;

/** One plan's part of the engine: its chains, and the native objects that its steps use. */
final class OneDnnSession implements Engine.Session {
  private final Weights weights;
  private final stream stream;
  private final List<Pointer> owned = new ArrayList<>();
  private final Map<GraphNode, Chain> chains = new IdentityHashMap<>();

  OneDnnSession(Weights weights) {
    this.weights = weights;
    this.stream = own(new stream(OneDnn.cpu()));
  }

  @Override
  public List<GraphNode> group(List<GraphNode> nodes, Predicate<String> constant, Predicate<String> visible) {
    Map<String, GraphNode> producers = new java.util.HashMap<>();
    nodes.forEach(node -> node.outputs().forEach(output -> producers.put(output.name(), node)));
    Fuser fuser =
        new Fuser(Heads::takesLinks, (node, value) -> isLink(node, value, constant), (pad, next) -> Padding.folds(pad, next, producers));
    return fuser.fuse(nodes, visible).stream().map(this::register).collect(Collectors.toList());
  }

  private static boolean isLink(GraphNode node, String value, Predicate<String> constant) {
    if (node.op().equals("BatchNorm")) {
      List<String> others = node.inputs().subList(1, node.inputs().size());
      return node.inputs().get(0).equals(value) && others.stream().allMatch(other -> other == null || constant.test(other));
    }
    return Eltwise.of(node) != null || Binary.applies(node, value);
  }

  private GraphNode register(Chain chain) {
    chains.put(chain.node(), chain);
    return chain.node();
  }

  @Override
  public List<GraphNode> split(GraphNode node) {
    return chains.get(node).cut().stream().map(this::register).collect(Collectors.toList());
  }

  @Override
  public OpMapping lower(OpContext context) {
    Chain chain = chains.get(context.node());
    Head head = Heads.of(chain.head());
    return head == null ? null : head.lower(new Site(context, chain, this));
  }

  /** Returns the packed weights of the model. */
  Weights weights() {
    return weights;
  }

  /** Returns what primitives are executed on. */
  stream stream() {
    return stream;
  }

  /** Keeps a native object until the plan is closed. */
  <T extends Pointer> T own(T object) {
    owned.add(object);
    return object;
  }

  @Override
  public void close() {
    owned.forEach(Pointer::close);
    owned.clear();
  }
}
