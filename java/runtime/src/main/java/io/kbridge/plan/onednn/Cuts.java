package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.algorithm;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.machine.Cut;
import java.util.List;

/** Links of a chain that machine code of ours does before it writes a result. */
final class Cuts {
  private Cuts() {}

  /**
   * Finds what some links do with numbers.
   *
   * @param site the chain
   * @param first the first of the links
   * @param end the link behind the last
   * @return what they do: nothing, if there are none, or a ReLU, which may cut above as well; null if it is something else
   */
  static Cut of(Site site, int first, int end) {
    if (first == end) {
      return Cut.NONE;
    }
    GraphNode link = site.chain().links().get(first);
    List<Eltwise> found = first == end - 1 ? Eltwise.of(link) : null;
    if (found == null || found.size() != 1) {
      return null;
    }
    Eltwise function = found.get(0);
    if (function.function() == algorithm.eltwise_bounded_relu) {
      return Cut.between(function.alpha());
    }
    return function.function() == algorithm.eltwise_relu && function.alpha() == 0 ? Cut.BELOW_ZERO : null;
  }
}
