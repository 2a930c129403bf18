package io.kbridge.plan.onednn;

import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import io.kbridge.plan.fuse.Chain;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/** Finds the values that are kept in bfloat16: those that are made and read by nothing but chains that know it. */
final class Halves {
  private static final Set<String> PLAIN = Set.of("Conv", "DepthwiseConv", "MaxPool", "AveragePool", "Mean", "Concatenate");

  private Halves() {}

  /**
   * Finds the values.
   *
   * @param chains the plan's chains
   * @param constant tells which values are the same in every call
   * @param visible tells which values others read
   * @param avoided names of nodes that have been found not to know bfloat16 after all
   * @return names of values
   */
  static Set<String> find(List<Chain> chains, Predicate<String> constant, Predicate<String> visible, Set<String> avoided) {
    Set<String> found = new HashSet<>();
    for (Chain chain : chains) {
      ValueInfo result = chain.node().outputs().get(0);
      if (knows(chain, constant, avoided) && result.type() == ElementType.FLOAT32 && !visible.test(result.name())) {
        found.add(result.name());
      }
    }
    for (Chain chain : chains) {
      if (!knows(chain, constant, avoided)) {
        found.removeAll(chain.node().inputs());
      }
    }
    return found;
  }

  private static boolean knows(Chain chain, Predicate<String> constant, Set<String> avoided) {
    GraphNode head = chain.head();
    if (chain.members().stream().anyMatch(member -> avoided.contains(member.name()))) {
      return false;
    }
    if (head.op().equals("Matmul")) {
      return constant.test(head.inputs().get(1));
    }
    return PLAIN.contains(head.op()) || Eltwise.of(head) != null || Binary.of(head) != null;
  }
}
