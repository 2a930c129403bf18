package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.algorithm;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;

import io.kbridge.plan.OpMapping;
import java.util.Arrays;
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
    Heads.alone("Max", Pooling::largest);
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
    boolean inBlocks = site.isBlocked(site.chain().source());
    boolean half = site.session().isHalf(site.chain().source());
    Layout from = Layout.spatial(x.shape(), window.channelsLast()).blocked(inBlocks).half(half);
    long[] shape = window.shape(x.size(0), from.channels());
    Layout to = Layout.spatial(shape, window.channelsLast()).blocked(inBlocks).half(half);
    long[][] place = {window.strides(), window.sizes(), window.gaps(), window.before(), window.after()};
    return lower(site, max ? algorithm.pooling_max : average, x, from, to, shape, place);
  }

  private static OpMapping largest(Site site) {
    OpMapping found = global(site, algorithm.pooling_max);
    return found == null ? Rows.max(site) : found;
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
    boolean inBlocks = site.session().isBlocked(site.head().inputs().get(0));
    long[] image = inBlocks ? x.shape() : new long[] {x.size(0), 1, inner, last};
    boolean half = site.session().isHalf(site.chain().source());
    Layout from = Layout.spatial(image, true).blocked(inBlocks).half(half);
    Layout to = Layout.spatial(new long[] {x.size(0), 1, 1, last}, true).blocked(inBlocks).half(half);
    long[] shape = {x.size(0), last};
    if (site.head().attrs().getBoolean("keepdims", false)) {
      shape = x.shape().clone();
      Arrays.fill(shape, 1, shape.length - 1, 1);
    }
    long[] zero = {0, 0};
    return lower(site, function, x, from, to, shape, new long[][] {{1, 1}, {image[1], image[2]}, zero, zero, zero});
  }

  private static OpMapping lower(
      Site site, algorithm function, INDArray x, Layout from, Layout to, long[] shape, long[][] place) {
    primitive_attr attr = PostOps.none(site).attr();
    pooling_v2_forward.primitive_desc found =
        OneDnn.ask(
            () -> new pooling_v2_forward.primitive_desc(
                new pooling_v2_forward.desc(
                    prop_kind.forward_inference, function, from.desc(), to.desc(), place[0], place[1], place[2], place[3], place[4]),
                attr,
                OneDnn.cpu()));
    if (found == null) {
      return null;
    }
    site.session().own(found);
    return context -> {
      INDArray z = context.allocate(0, shape);
      Call call = new Call(site.session(), found, new pooling_v2_forward(found));
      // NB: seen in the layout's shape, which has the same elements in the same order.
      call.read(context, site, DNNL_ARG_SRC, from, site.chain().source(), x.reshape('c', from.shape()));
      call.write(context, site, to, z.reshape('c', to.shape()));
      return call.scratch(context, found).step();
    };
  }
}
