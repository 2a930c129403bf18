package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.algorithm;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;

import io.kbridge.plan.OpMapping;
import java.util.Arrays;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.pooling_v2_forward;
import org.bytedeco.dnnl.primitive_attr;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Poolings, also those over all of an image. */
final class Pooling {
  private Pooling() {}

  static void register() {
    Heads.alone("MaxPool", site -> pool(site, true));
    Heads.alone("AveragePool", site -> pool(site, false));
    Heads.alone("Mean", site -> global(site, algorithm.pooling_avg_exclude_padding));
    Heads.alone("Max", site -> global(site, algorithm.pooling_max));
  }

  private static OpMapping pool(Site site, boolean max) {
    INDArray x = site.array(site.chain().source());
    if (x == null || !site.isFloat() || x.rank() < 3 || x.rank() > 5) {
      return null;
    }
    Window window = Window.of(site, x.shape(), site.head().attrs().getLongs("pool_size"));
    if (window == null || !window.touchesInput(x.shape())) {
      return null;
    }
    // NB: a padding of its own is part of the average; that of Keras's "same" is not.
    boolean include = site.chain().pad() != null;
    algorithm average = include ? algorithm.pooling_avg_include_padding : algorithm.pooling_avg_exclude_padding;
    Layout from = Layout.spatial(x.shape(), window.channelsLast());
    long[] shape = window.shape(x.size(0), from.channels());
    Layout to = Layout.spatial(shape, window.channelsLast());
    long[][] place = {window.strides(), window.sizes(), window.gaps(), window.before(), window.after()};
    return lower(site, max ? algorithm.pooling_max : average, x, from.desc(), to.desc(), shape, place);
  }

  /** A mean or maximum over all neighbouring axes but those before and one after, as a window of that size. */
  private static OpMapping global(Site site, algorithm function) {
    INDArray x = site.input(0);
    if (!site.isFloat() || site.head().inputs().size() != 1 || !site.head().attrs().json("axis").isArray()) {
      return null;
    }
    long[] axes = site.head().attrs().getLongs("axis");
    Arrays.sort(axes);
    if (axes.length == 0 || axes[0] != 1 || axes[axes.length - 1] != axes.length || x.rank() != axes.length + 2) {
      return null;
    }
    long last = x.size(x.rank() - 1);
    long inner = x.length() / x.size(0) / last;
    memory.desc from = OneDnn.strided(new long[] {x.size(0), last, 1, inner}, new long[] {inner * last, 1, inner * last, last});
    memory.desc to = OneDnn.strided(new long[] {x.size(0), last, 1, 1}, new long[] {last, 1, last, last});
    long[] shape = {x.size(0), last};
    if (site.head().attrs().getBoolean("keepdims", false)) {
      shape = x.shape().clone();
      Arrays.fill(shape, 1, shape.length - 1, 1);
    }
    long[] zero = {0, 0};
    return lower(site, function, x, from, to, shape, new long[][] {{1, 1}, {1, inner}, zero, zero, zero});
  }

  private static OpMapping lower(
      Site site, algorithm function, INDArray x, memory.desc from, memory.desc to, long[] shape, long[][] place) {
    site.session().own(from);
    site.session().own(to);
    primitive_attr attr = PostOps.none(site).attr();
    pooling_v2_forward.primitive_desc found =
        OneDnn.ask(
            () -> new pooling_v2_forward.primitive_desc(
                new pooling_v2_forward.desc(
                    prop_kind.forward_inference, function, from, to, place[0], place[1], place[2], place[3], place[4]),
                attr,
                OneDnn.cpu()));
    if (found == null) {
      return null;
    }
    site.session().own(found);
    return context ->
        new Call(site.session(), found, new pooling_v2_forward(found))
            .arg(DNNL_ARG_SRC, from, x)
            .arg(DNNL_ARG_DST, to, context.allocate(0, shape))
            .scratch(context, found)
            .step();
  }
}
