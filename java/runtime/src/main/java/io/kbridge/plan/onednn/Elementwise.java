package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_0;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_1;
import static org.bytedeco.dnnl.global.dnnl.algorithm;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.OpMapping;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.dnnl.binary;
import org.bytedeco.dnnl.eltwise_forward;
import org.bytedeco.dnnl.memory;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Element-by-element chains: one pass over memory for all of a chain's nodes. */
final class Elementwise {
  private static final long LONGEST_ROW = 1L << 16;

  private Elementwise() {}

  static void register() {
    Eltwise.names().forEach(op -> Heads.chain(op, Elementwise::function));
    Binary.names().forEach(op -> Heads.chain(op, Elementwise::binary));
    Heads.chain("BatchNorm", Elementwise::norm);
  }

  /** A function of one array. */
  private static OpMapping function(Site site) {
    List<Eltwise> functions = Eltwise.of(site.head());
    INDArray x = site.input(0);
    Layout layout = functions != null && functions.size() == 1 && site.isFloat() ? layout(site, x.shape()) : null;
    PostOps post = layout == null ? null : PostOps.of(site, layout, 0, false);
    if (post == null) {
      return null;
    }
    Eltwise first = functions.get(0);
    memory.desc desc = site.session().own(layout.desc());
    eltwise_forward.primitive_desc found =
        OneDnn.ask(
            () -> new eltwise_forward.primitive_desc(
                new eltwise_forward.desc(prop_kind.forward_inference, first.function(), desc, first.alpha(), first.beta()),
                post.attr(),
                OneDnn.cpu()));
    if (found == null) {
      return null;
    }
    site.session().own(found);
    return context -> {
      INDArray z = context.allocate(0, x.shape());
      Call call = new Call(site.session(), found, new eltwise_forward(found));
      call.read(context, site, DNNL_ARG_SRC, layout, site.head().inputs().get(0), x).write(context, site, layout, z);
      post.bind(context, call);
      return call.scratch(context, found).step();
    };
  }

  /** A function of two arrays, of which at least one has the shape of the result. */
  private static OpMapping binary(Site site) {
    algorithm function = Binary.of(site.head());
    INDArray x = site.input(0);
    INDArray y = site.input(1);
    if (function == null || !site.isFloat()) {
      return null;
    }
    OpMapping narrow = narrow(site, x);
    if (narrow != null) {
      return narrow;
    }
    long[] shape = broadcast(x.shape(), y.shape());
    boolean swap = !Arrays.equals(x.shape(), shape) && Binary.commutes(function);
    INDArray first = swap ? y : x;
    INDArray second = swap ? x : y;
    Layout layout = shape != null && Arrays.equals(first.shape(), shape) ? layout(site, shape) : null;
    return layout == null ? null : binary(site, layout, function, first, new Second(layout.desc(second.shape()), second, null), 0);
  }

  /**
   * Scales and shifts of a few channels, such as the colours of a picture: vectors of the processor are wider than that, so a whole row of
   * pixels is taken for the channels.
   */
  private static OpMapping narrow(Site site, INDArray x) {
    long[] shape = x.shape();
    int rank = shape.length;
    if (rank < 3 || shape[rank - 1] >= Layout.BLOCK || shape[rank - 1] * shape[rank - 2] > LONGEST_ROW || x != site.input(0)
        || !Binary.applies(site.head(), site.head().inputs().get(0))) {
      return null;
    }
    Layout pixels = Layout.rows(shape, 1);
    Affine affine = new Affine(pixels.channels());
    if (!affine.absorb(site.head(), site.head().inputs().get(0), site, pixels)) {
      return null;
    }
    affine.absorb(site, pixels);
    List<GraphNode> links = site.chain().links();
    if (links.subList(affine.links(), links.size()).stream().anyMatch(link -> Eltwise.of(link) == null)) {
      return null;
    }
    return affine(site, Layout.rows(shape, 2), x, affine.repeated((int) shape[rank - 2]));
  }

  private static OpMapping affine(Site site, Layout layout, INDArray x, Affine affine) {
    long[] dims = layout.dims();
    Arrays.fill(dims, 1);
    dims[Math.min(1, dims.length - 1)] = layout.channels();
    memory.desc desc = site.session().own(OneDnn.plain(dims));
    // NB: with the width, as images of several widths may come.
    String key = site.key(affine.links()) + " scale " + layout.channels();
    Second scale = new Second(desc, null, site.weights().numbers(key, desc, affine::scale));
    return binary(site, layout, algorithm.binary_mul, x, scale, affine.links(), affine);
  }

  /** Batch-norm with constant statistics: a scale and a shift for each channel. */
  private static OpMapping norm(Site site) {
    INDArray x = site.input(0);
    if (!site.isFloat()) {
      return null;
    }
    int axis = site.head().attrs().getInt("axis");
    long[] channels = new long[x.rank()];
    Arrays.fill(channels, 1);
    channels[axis] = x.size(axis);
    Layout layout = layout(site, x.shape(), channels);
    if (layout == null || !layout.isChannelAxis(axis)) {
      return null;
    }
    Affine affine = new Affine(layout.channels());
    if (!affine.absorb(site.head(), site.head().inputs().get(0), site, layout)) {
      return null;
    }
    affine.absorb(site, layout);
    String key = site.key(affine.links());
    memory.desc desc = site.session().own(layout.half(false).desc(channels));
    Second scale = new Second(desc, null, site.weights().numbers(key + " scale", desc, affine::scale));
    return binary(site, layout, algorithm.binary_mul, x, scale, affine.links(), affine);
  }

  private static OpMapping binary(Site site, Layout layout, algorithm function, INDArray first, Second second, int links) {
    return binary(site, layout, function, first, second, links, null);
  }

  private static OpMapping binary(
      Site site, Layout layout, algorithm function, INDArray first, Second second, int links, Affine affine) {
    PostOps post = PostOps.of(site, layout, links, false, affine);
    if (post == null || second.desc == null) {
      return null;
    }
    memory.desc desc = site.session().own(layout.desc());
    site.session().own(second.desc);
    binary.primitive_desc found =
        OneDnn.ask(() -> new binary.primitive_desc(new binary.desc(function, desc, second.desc, desc), post.attr(), OneDnn.cpu()));
    if (found == null) {
      return null;
    }
    site.session().own(found);
    return context -> {
      INDArray z = context.allocate(0, layout.shape());
      Call call = new Call(site.session(), found, new binary(found));
      call.read(context, site, DNNL_ARG_SRC_0, layout, nameOf(site, first), first).write(context, site, layout, z);
      if (second.array == null) {
        call.arg(DNNL_ARG_SRC_1, second.constant);
      } else {
        call.read(context, site, DNNL_ARG_SRC_1, layout, nameOf(site, second.array), second.array);
      }
      post.bind(context, call);
      return call.scratch(context, found).step();
    };
  }

  private static String nameOf(Site site, INDArray array) {
    return site.head().inputs().get(site.input(0) == array ? 0 : 1);
  }

  /** A layout in which all that the chain reads can be said. */
  private static Layout layout(Site site, long[] shape, long[]... others) {
    List<long[]> operands = new ArrayList<>(Arrays.asList(others));
    for (GraphNode node : site.chain().members()) {
      for (int i = 0; i < node.inputs().size() && !node.op().equals("BatchNorm"); i++) {
        INDArray operand = node.inputs().get(i) == null ? null : site.array(node.inputs().get(i));
        if (operand != null && operand.rank() <= shape.length) {
          operands.add(operand.shape());
        }
      }
      if (node.op().equals("BatchNorm") && node.attrs().getInt("axis") < shape.length) {
        long[] channels = new long[shape.length];
        Arrays.fill(channels, 1);
        channels[node.attrs().getInt("axis")] = shape[node.attrs().getInt("axis")];
        operands.add(channels);
      }
    }
    boolean anyBlocks = site.session().isBlocked(site.result());
    for (GraphNode node : site.chain().members()) {
      anyBlocks |= node.inputs().stream().anyMatch(site.session()::isBlocked);
    }
    Layout layout = anyBlocks ? Layout.spatial(shape, true).blocked(Layout.hasBlocks(shape)) : Layout.collapsed(shape, operands);
    return layout == null ? null : layout.half(site.session().isHalf(site.result()));
  }

  /** Returns the shape two shapes are broadcast to, or null if they cannot be. */
  static long[] broadcast(long[] a, long[] b) {
    long[] shape = new long[Math.max(a.length, b.length)];
    for (int i = 0; i < shape.length; i++) {
      int p = i - (shape.length - a.length);
      int q = i - (shape.length - b.length);
      long left = p < 0 ? 1 : a[p];
      long right = q < 0 ? 1 : b[q];
      if (left != right && left != 1 && right != 1) {
        return null;
      }
      shape[i] = left == 1 ? right : left;
    }
    return shape;
  }

  /** The second operand: an array, or numbers of the model. */
  private static final class Second {
    private final memory.desc desc;
    private final INDArray array;
    private final memory constant;

    Second(memory.desc desc, INDArray array, memory constant) {
      this.desc = desc;
      this.array = array;
      this.constant = constant;
    }
  }
}
