package io.kbridge.plan.onednn;

import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import io.kbridge.plan.fuse.Chain;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/**
 * Finds the values whose channels had better be in blocks: images between convolutions by Winograd's algorithm, with poolings and
 * element-by-element chains on the way, that nothing else makes or reads.
 */
final class Blocks {
  private static final Set<String> POOLINGS = Set.of("MaxPool", "AveragePool");

  private final Predicate<GraphNode> gains;
  private final Map<String, Chain> producers = new HashMap<>();
  private final Map<String, List<Chain>> readers = new HashMap<>();
  private final Map<String, ValueInfo> found = new HashMap<>();

  private Blocks(List<Chain> chains, Predicate<String> visible, Predicate<GraphNode> gains) {
    this.gains = gains;
    for (Chain chain : chains) {
      ValueInfo result = chain.node().outputs().get(0);
      producers.put(result.name(), chain);
      if (isImage(result) && !visible.test(result.name())) {
        found.put(result.name(), result);
      }
      chain.node().inputs().forEach(input -> readers.computeIfAbsent(input, key -> new ArrayList<>()).add(chain));
    }
  }

  /**
   * Finds the values.
   *
   * @param chains the plan's chains
   * @param visible tells which values others read
   * @param gains tells which convolutions are computed by Winograd's algorithm
   * @return names of values
   */
  static Set<String> find(List<Chain> chains, Predicate<String> visible, Predicate<GraphNode> gains) {
    Blocks blocks = new Blocks(chains, visible, gains);
    while (blocks.found.keySet().removeIf(value -> !blocks.isMade(value) || !blocks.isRead(value))) {
      // NB: each value that is not in blocks may be a reason for others not to be.
    }
    return blocks.found.keySet();
  }

  /** Tells whether what makes a value can make blocks without a copy. */
  private boolean isMade(String value) {
    Chain chain = producers.get(value);
    GraphNode head = chain.head();
    if (head.op().equals("Conv")) {
      // NB: from an image of a few channels, such as a picture, oneDNN computes blocks as well.
      return gains.test(head) || channelsLast(head) && !producers.containsKey(chain.source());
    }
    return passes(head) && chain.node().inputs().stream().anyMatch(found::containsKey);
  }

  /** Tells whether all that read a value read blocks without a copy. */
  private boolean isRead(String value) {
    for (Chain chain : readers.getOrDefault(value, List.of())) {
      GraphNode head = chain.head();
      boolean asSource = head.op().equals("Conv") && gains.test(head) && chain.source().equals(value);
      if (!asSource && !isMean(head) && !(passes(head) && found.containsKey(chain.node().outputs().get(0).name()))) {
        return false;
      }
    }
    return true;
  }

  /** Tells whether a chain that begins like this gives blocks for blocks. */
  private static boolean passes(GraphNode head) {
    if (POOLINGS.contains(head.op())) {
      return channelsLast(head);
    }
    return Heads.takesLinks(head) && !Set.of("Conv", "DepthwiseConv", "Matmul", "Einsum").contains(head.op());
  }

  private static boolean channelsLast(GraphNode head) {
    return head.attrs().getString("data_format", "channels_last").equals("channels_last");
  }

  private static boolean isMean(GraphNode head) {
    return head.op().equals("Mean") && head.inputs().size() == 1 && head.attrs().json("axis").toString().equals("[1,2]");
  }

  /** Tells whether a value is of a size for which blocks make a difference, in whole blocks. */
  private static boolean isImage(ValueInfo info) {
    long[] shape = info.shape();
    return shape.length == 4 && info.type() == ElementType.FLOAT32 && shape[3] % Layout.BLOCK == 0 && shape[3] > 0 && shape[1] > 0
        && shape[2] > 0 && shape[1] * shape[2] > 1;
  }
}
