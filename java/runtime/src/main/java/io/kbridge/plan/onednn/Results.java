package io.kbridge.plan.onednn;

import io.kbridge.plan.OpContext;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Where results go. */
final class Results {
  private Results() {}

  /** Gives the array a chain's result goes to: memory of its own, or the memory of the array it is added to. */
  static INDArray place(OpContext context, Site site, Layout layout, PostOps post) {
    if (post.summed() == null) {
      return context.allocate(0, layout.shape());
    }
    // NB: of the same shape as a size-1 axis in front may be missing; the memory is the same.
    INDArray z = site.array(post.summed());
    INDArray view = z.rank() == layout.shape().length ? z : z.reshape('c', layout.shape());
    context.alias(0, view);
    return view;
  }

  /** Gives the array that a result of the shape of the first input goes to: that one's memory if nothing reads it afterwards. */
  static INDArray over(OpContext context, INDArray x) {
    if (!context.isLastUse(0)) {
      return context.allocate(0, x.shape());
    }
    context.alias(0, x);
    return x;
  }
}
