package io.kbridge.plan.onednn;

import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import io.kbridge.plan.fuse.Chain;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/** Finds the values whose channels can be in blocks: images that are made and read by nothing but chains that know blocks. */
final class Blocks {
  private static final Set<String> POOLS = Set.of("MaxPool", "AveragePool");
  private static final Set<String> WINDOWS = Set.of("Conv", "DepthwiseConv", "MaxPool", "AveragePool");

  private final Map<String, ValueInfo> values = new HashMap<>();

  private Blocks(List<Chain> chains) {
    chains.forEach(
        chain -> chain.members().forEach(node -> node.outputs().forEach(output -> values.put(output.name(), output))));
  }

  /**
   * Finds the values.
   *
   * @param chains the plan's chains
   * @param visible tells which values others read
   * @return names of values
   */
  static Set<String> find(List<Chain> chains, Predicate<String> visible) {
    Blocks blocks = new Blocks(chains);
    Set<String> found = new HashSet<>();
    for (Chain chain : chains) {
      ValueInfo result = chain.node().outputs().get(0);
      if (blocks.knows(chain) && blocks.isImage(result.name()) && !visible.test(result.name())) {
        found.add(result.name());
      }
    }
    for (Chain chain : chains) {
      if (!blocks.knows(chain)) {
        found.removeAll(chain.node().inputs());
      }
    }
    return found;
  }

  /**
   * Finds results of convolutions that may stay in blocks, if a convolution makes blocks of them, where everything else has channels last. Poolings
   * that read them have less to copy, convolutions that read them no more, and perhaps nothing.
   *
   * @param chains the plan's chains
   * @param visible tells which values others read
   * @param forPoolings whether none but poolings may read them
   * @return names of values
   */
  static Set<String> keepable(List<Chain> chains, Predicate<String> visible, boolean forPoolings) {
    Blocks blocks = new Blocks(chains);
    Map<String, List<Chain>> readers = new HashMap<>();
    chains.forEach(chain -> chain.node().inputs().forEach(input -> readers.computeIfAbsent(input, value -> new ArrayList<>()).add(chain)));
    Set<String> found = new HashSet<>();
    for (Chain chain : chains) {
      String result = chain.node().outputs().get(0).name();
      boolean makes = chain.head().op().equals("Conv") && blocks.knows(chain) && blocks.isImage(result) && !visible.test(result);
      if (makes && keeps(result, readers.getOrDefault(result, List.of()), forPoolings)) {
        found.add(result);
      }
    }
    return found;
  }

  private static boolean keeps(String value, List<Chain> readers, boolean forPoolings) {
    boolean windows = readers.stream().allMatch(chain -> WINDOWS.contains(chain.head().op()) && value.equals(chain.source()));
    boolean pools = readers.stream().allMatch(chain -> POOLS.contains(chain.head().op()));
    return windows && (pools || readers.size() == 1 && !forPoolings);
  }

  /** Tells whether a chain can read and write blocks. */
  private boolean knows(Chain chain) {
    GraphNode head = chain.head();
    if (WINDOWS.contains(head.op())) {
      boolean last = head.attrs().getString("data_format", "channels_last").equals("channels_last");
      return last && isRanked(head.outputs().get(0)) && head.outputs().get(0).shape()[3] % Layout.BLOCK == 0;
    }
    if (head.op().equals("Mean")) {
      return head.inputs().size() == 1 && isImage(head.inputs().get(0)) && head.attrs().json("axis").toString().equals("[1,2]");
    }
    if (head.op().equals("Concatenate")) {
      return head.attrs().json("axis").asInt(-1) == 3 && head.inputs().stream().allMatch(this::isImage);
    }
    boolean elementwise = Heads.takesLinks(head) && !head.op().equals("Matmul") && !head.op().equals("Einsum");
    return elementwise && isImage(head.outputs().get(0).name()) && head.inputs().stream().anyMatch(this::isImage);
  }

  /** Tells whether a value is of a size for which blocks make a difference, in whole blocks. */
  private boolean isImage(String value) {
    ValueInfo info = values.get(value);
    if (info == null || !isRanked(info)) {
      return false;
    }
    long[] shape = info.shape();
    return shape[3] % Layout.BLOCK == 0 && shape[3] > 0 && shape[1] > 0 && shape[2] > 0 && shape[1] * shape[2] > 1;
  }

  private static boolean isRanked(ValueInfo info) {
    return info.shape().length == 4 && info.type() == ElementType.FLOAT32;
  }
}
