package io.kbridge.plan.onednn;

import io.kbridge.Calibration;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import io.kbridge.plan.fuse.Chain;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

/** Which values products read as 8-bit numbers, and which of those lie in memory so. Immutable. */
final class Quantisation {
  private final Map<String, Numbers> numbers = new HashMap<>();

  /** Takes ranges; null to round nothing. */
  Quantisation(Calibration calibration) {
    if (calibration != null) {
      calibration.ranges().forEach((value, range) -> put(value, range[0], range[1]));
    }
  }

  private void put(String value, double least, double most) {
    // NB: what is zero in all samples says nothing about other numbers.
    if (least < most || most != 0) {
      numbers.put(value, Numbers.within(least, most));
    }
  }

  /** Tells how a product reads its first operand in 8 bits; null if it is not known, or nothing is rounded. */
  Numbers of(GraphNode head) {
    boolean known = head.op().equals("Conv") || head.op().equals("DepthwiseConv") || head.op().equals("Matmul") || head.op().equals("Einsum");
    return known ? numbers.get(head.inputs().get(0)) : null;
  }

  /** Tells how a value is stored in 8 bits. */
  Numbers of(String value) {
    return numbers.get(value);
  }

  /**
   * Finds the values that lie in memory in 8 bits: those that a product makes and nothing but products read.
   *
   * @param chains the plan's chains
   * @param constant tells which values are the same in every call
   * @param visible tells which values others read
   * @param avoided names of nodes that have been found not to know 8 bits after all
   * @return names of values
   */
  Set<String> find(List<Chain> chains, Predicate<String> constant, Predicate<String> visible, Set<String> avoided) {
    Set<String> found = new HashSet<>();
    if (numbers.isEmpty()) {
      return found;
    }
    for (Chain chain : chains) {
      ValueInfo result = chain.node().outputs().get(0);
      boolean suits = numbers.containsKey(result.name()) && result.type() == ElementType.FLOAT32 && !visible.test(result.name());
      if (suits && rounds(chain, constant, avoided)) {
        found.add(result.name());
      }
    }
    for (Chain chain : chains) {
      List<String> others = chain.node().inputs();
      String source = rounds(chain, constant, avoided) && readsAsItIs(chain) ? chain.source() : null;
      others.stream().filter(value -> !value.equals(source) || readsTwice(chain, value)).forEach(found::remove);
    }
    return found;
  }

  /** Tells whether padding, if any, leaves a value's numbers as they are stored. */
  private boolean readsAsItIs(Chain chain) {
    Numbers stored = numbers.get(chain.source());
    return stored != null && stored.isLike(of(chain.head()));
  }

  private static boolean readsTwice(Chain chain, String value) {
    return chain.members().stream().flatMap(member -> member.inputs().stream()).filter(value::equals).count() > 1;
  }

  private boolean rounds(Chain chain, Predicate<String> constant, Set<String> avoided) {
    return of(chain.head()) != null && constant.test(chain.head().inputs().get(1)) && !avoided.contains(chain.node().name());
  }
}
