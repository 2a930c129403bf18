package io.kbridge.plan.onednn;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.Engine;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Threads;
import io.kbridge.plan.fuse.Chain;
import io.kbridge.plan.fuse.Fuser;
import io.kbridge.plan.fuse.Separation;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiPredicate;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.bytedeco.dnnl.stream;
import org.bytedeco.javacpp.Pointer;

/** One plan's part of the engine: its chains, and the native objects that its steps use. */
final class OneDnnSession implements Engine.Session {
  private final OneDnnEngine engine;
  private final boolean inBlocks;
  private final Weights.Use weights;
  private final stream stream;
  private final List<Pointer> owned = new ArrayList<>();
  private final Map<GraphNode, Chain> chains = new IdentityHashMap<>();
  private final Map<GraphNode, List<GraphNode>> stacks = new IdentityHashMap<>();
  private final Set<String> blocked = new HashSet<>();
  private final Set<String> keepable = new HashSet<>();
  private final Set<String> half = new HashSet<>();
  private final Set<String> small = new HashSet<>();
  private double gainOfBlocks;
  private boolean closed;

  OneDnnSession(OneDnnEngine engine, boolean inBlocks, Weights weights) {
    this.engine = engine;
    this.inBlocks = inBlocks;
    this.weights = new Weights.Use(weights);
    this.stream = own(new stream(OneDnn.cpu()));
  }

  @Override
  public List<GraphNode> group(List<GraphNode> given, Predicate<String> constant, Predicate<String> visible) {
    List<GraphNode> nodes = Separation.apply(given);
    Map<String, GraphNode> producers = new HashMap<>();
    nodes.forEach(node -> node.outputs().forEach(output -> producers.put(output.name(), node)));
    BiPredicate<GraphNode, String> links = (node, value) -> isLink(node, value, constant);
    BiPredicate<GraphNode, GraphNode> pads = (pad, next) -> Padding.folds(pad, next, producers);
    List<Chain> found = new Fuser(Heads::takesLinks, links, pads).fuse(nodes, visible);
    if (inBlocks) {
      blocked.addAll(Blocks.find(found, visible));
    } else if (engine.keepsBlocks()) {
      // NB: on one core most convolutions are faster in tiles, which gain nothing from blocks.
      keepable.addAll(Blocks.keepable(found, visible, Threads.allowed() == 1));
    }
    if (isBfloat16()) {
      half.addAll(Halves.find(found, constant, visible, engine.avoided()));
    }
    small.addAll(engine.quantisation().find(found, constant, visible, engine.avoided()));
    List<Chain> longer = found;
    if (!inBlocks && !forms().isEmpty()) {
      // NB: only tiles can end with a pooling; all others have it cut off again, and leave results as they are without it.
      longer = new Fuser(Heads::takesLinks, links.or((node, value) -> Winograd.isPool(node)), pads).fuse(nodes, visible);
    }
    return stacked(longer.stream().map(this::register).collect(Collectors.toList()), Stacks.find(longer, visible));
  }

  /** Replaces the nodes of each stack by the one that stands for it, at the place of the last. */
  private List<GraphNode> stacked(List<GraphNode> nodes, Map<GraphNode, List<GraphNode>> found) {
    stacks.putAll(found);
    List<GraphNode> result = new ArrayList<>(nodes);
    found.forEach(
        (top, layers) -> {
          result.set(result.indexOf(layers.get(layers.size() - 1)), top);
          result.removeAll(layers);
        });
    return result;
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
    if (stacks.containsKey(node)) {
      return stacks.get(node);
    }
    return chains.get(node).cut().stream().map(this::register).collect(Collectors.toList());
  }

  @Override
  public List<GraphNode> members(GraphNode node) {
    if (stacks.containsKey(node)) {
      return stacks.get(node);
    }
    Chain chain = chains.get(node);
    return chain == null ? List.of(node) : chain.members();
  }

  @Override
  public OpMapping lower(OpContext context) {
    if (stacks.containsKey(context.node())) {
      return Recurrence.lower(context, stacks.get(context.node()), this);
    }
    Chain chain = chains.get(context.node());
    Head head = Heads.of(chain.head());
    OpMapping mapping = head == null ? null : head.lower(new Site(context, chain, this));
    if (mapping == null && touches(small, context.node())) {
      throw new Engine.Unsuitable(context.node());
    }
    if (mapping == null && chain.members().size() == 1 && (touches(blocked, context.node()) || touches(half, context.node()))) {
      throw new Engine.Unsuitable(context.node());
    }
    return mapping;
  }

  private static boolean touches(Set<String> values, GraphNode node) {
    return node.inputs().stream().anyMatch(values::contains) || node.outputs().stream().anyMatch(output -> values.contains(output.name()));
  }

  @Override
  public Engine.Session without(GraphNode node) {
    if (touches(blocked, node)) {
      if (!inBlocks) {
        engine.keepNoBlocks();
        return engine.start(false);
      }
      // NB: while it is still open which way is faster, the other one is there already.
      return engine.isUndecided() ? null : engine.start(false);
    }
    return (touches(half, node) || touches(small, node)) && engine.avoid(node) ? engine.start(inBlocks) : null;
  }

  @Override
  public Engine.Session alternative() {
    return !inBlocks && gainOfBlocks > 0 && engine.isUndecided() ? engine.start(true) : null;
  }

  @Override
  public void rehearse(boolean alike) {
    weights.borrowMissing(ground(), alike);
  }

  @Override
  public void complete() {
    // NB: in this order, so that both are not there at once; weights that lay there get memory of their own now.
    ground().close();
    weights.packMissing();
  }

  @Override
  public void prefer() {
    engine.prefer(inBlocks);
  }

  /** Tells whether a value's channels are in blocks. */
  boolean isBlocked(String value) {
    return blocked.contains(value);
  }

  /** Notes that a convolution leaves its result in blocks, if all that reads it can cope with that. */
  void keepBlocks(String value) {
    if (keepable.contains(value)) {
      blocked.add(value);
    }
  }

  /** Tells whether a value's numbers are bfloat16. */
  boolean isHalf(String value) {
    return half.contains(value);
  }

  /** Tells how a value's numbers are stored. */
  Numbers numbers(String value) {
    if (small.contains(value)) {
      return engine.quantisation().of(value);
    }
    return half.contains(value) ? Numbers.HALF : Numbers.FLOAT;
  }

  /** Tells how a product is to read its first operand in 8 bits; null if it is not. */
  Numbers rounded(GraphNode head) {
    return engine.quantisation().of(head);
  }

  /** Tells whether products are computed with bfloat16 numbers where that is possible. */
  boolean isBfloat16() {
    return engine.isBfloat16();
  }

  /** Tells whether this plan puts channels in blocks where it can. */
  boolean inBlocks() {
    return inBlocks;
  }

  /** Starts a session for native objects that are needed while something is found out. */
  OneDnnSession aside() {
    return engine.start(false);
  }

  /** Returns what is known of a convolution's algorithms; see {@link OneDnnEngine#trial}. */
  Trial trial(String key, Function<Boolean, Trial> trial) {
    Trial found = engine.trial(key, trial);
    gainOfBlocks += found == null ? 0 : found.gainOfBlocks();
    return found;
  }

  /** Returns the forms of our code for Winograd's algorithm that may be used. */
  List<WinogradForm> forms() {
    return engine.forms();
  }

  /** Returns how many bytes a kernel of single pixels has at least that our machine code multiplies with. */
  long leastPanels() {
    return engine.leastPanels();
  }

  /** Returns memory for things that are run to find out how long they take; it is given back when the plan is complete. */
  Ground ground() {
    return engine.ground();
  }

  /** Returns the packed weights of the model. */
  Weights.Use weights() {
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
    if (!closed) {
      closed = true;
      owned.forEach(Pointer::close);
      owned.clear();
      weights.close();
    }
  }
}
