package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_BIAS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.algorithm;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;

import io.kbridge.plan.Finite;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.bytedeco.dnnl.convolution_forward;
import org.bytedeco.dnnl.memory;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Convolutions of one to three spatial axes, grouped and depthwise ones among them, with constant kernels. Biases, scales and batch-norm
 * that follow go into the kernel and the bias.
 */
final class Convolution {
  private final Site site;
  private final INDArray x;
  private final INDArray w;
  private final Window window;
  private final boolean depthwise;
  private final long groups;
  private final long filters;
  private final boolean first;
  private final Layout from;
  private final Layout to;
  private final Affine affine;

  private Convolution(Site site, Window window, boolean depthwise) {
    this.site = site;
    this.window = window;
    this.depthwise = depthwise;
    this.x = site.array(site.chain().source());
    this.w = site.input(1);
    int n = x.rank() - 2;
    long channels = x.size(window.channelsLast() ? n + 1 : 1);
    this.groups = depthwise ? channels : channels / w.size(n);
    this.filters = depthwise ? channels * w.size(n + 1) : w.size(n + 1);
    long[] result = window.shape(x.size(0), filters);
    boolean inBlocks = window.channelsLast() && site.inBlocks(result) && (groups == 1 || depthwise);
    this.first = inBlocks && !site.inBlocks(x.shape());
    this.from = first ? Layout.planes(x.shape()) : Layout.spatial(x.shape(), window.channelsLast()).blocked(inBlocks);
    this.to = Layout.spatial(result, window.channelsLast()).blocked(inBlocks);
    this.affine = new Affine(filters).absorb(site, to);
  }

  static void register() {
    Heads.chain("Conv", site -> lower(site, false));
    Heads.chain("DepthwiseConv", site -> lower(site, true));
  }

  private static OpMapping lower(Site site, boolean depthwise) {
    INDArray x = site.array(site.chain().source());
    if (!site.isFloat() || !site.isConstant(1) || x == null || x.rank() < 3 || !Finite.all(site.input(1)) || site.input(1).rank() != x.rank()) {
      return null;
    }
    int n = x.rank() - 2;
    long[] kernel = site.input(1).shape();
    Window window = Window.of(site, x.shape(), Arrays.copyOf(kernel, n));
    long channels = x.size(site.head().attrs().getString("data_format", "channels_last").equals("channels_last") ? n + 1 : 1);
    boolean fits = depthwise ? kernel[n] == channels : channels % kernel[n] == 0 && kernel[n + 1] % (channels / kernel[n]) == 0;
    return window == null || !fits ? null : new Convolution(site, window, depthwise).lower();
  }

  private OpMapping lower() {
    OpMapping inPlace = lower(true);
    return inPlace == null ? lower(false) : inPlace;
  }

  private OpMapping lower(boolean inPlace) {
    PostOps post = PostOps.of(site, to, affine.links(), inPlace);
    if (post == null || inPlace && post.summed() == null) {
      return null;
    }
    memory.desc bias = affine.shifts() ? site.session().own(OneDnn.plain(filters)) : null;
    convolution_forward.primitive_desc winograd =
        suitsWinograd() && site.inBlocks(x.shape()) && !post.isEmpty() ? OneDnn.ask(() -> describe(algorithm.convolution_winograd, post, bias)) : null;
    convolution_forward.primitive_desc found =
        winograd == null ? OneDnn.ask(() -> describe(algorithm.convolution_direct, post, bias)) : winograd;
    if (found == null) {
      return null;
    }
    site.session().own(found);
    return context -> compile(context, found, post, bias);
  }

  /** Tells whether Winograd's algorithm is worth a try; without blocks, says that they are. */
  private boolean suitsWinograd() {
    boolean three = window.sizes().length == 2 && Arrays.stream(window.sizes()).allMatch(size -> size == 3);
    boolean dense = Arrays.stream(window.strides()).allMatch(stride -> stride == 1) && Arrays.stream(window.gaps()).allMatch(gap -> gap == 0);
    boolean suits = three && dense && groups == 1 && window.channelsLast() && w.size(2) >= 32 && w.size(2) % Layout.BLOCK == 0
        && filters % Layout.BLOCK == 0 && to.shape()[1] >= 7;
    if (suits) {
      site.session().gainsFromBlocks();
    }
    return suits;
  }

  private convolution_forward.primitive_desc describe(algorithm algorithm, PostOps post, memory.desc bias) {
    prop_kind kind = prop_kind.forward_inference;
    memory.desc kernel = OneDnn.any(kernelDims());
    long[] strides = window.strides();
    long[] gaps = window.gaps();
    long[] before = window.before();
    long[] after = window.after();
    convolution_forward.desc desc =
        bias == null
            ? new convolution_forward.desc(kind, algorithm, from.desc(), kernel, to.desc(), strides, gaps, before, after)
            : new convolution_forward.desc(kind, algorithm, from.desc(), kernel, bias, to.desc(), strides, gaps, before, after);
    return new convolution_forward.primitive_desc(desc, post.attr(), OneDnn.cpu());
  }

  private Step compile(OpContext context, convolution_forward.primitive_desc found, PostOps post, memory.desc bias) {
    INDArray z = Results.place(context, site, to, post);
    Call call = new Call(site.session(), found, new convolution_forward(found));
    if (first) {
      INDArray planes = context.scratch(x.dataType(), x.shape());
      call.first(Reorder.of(site.session(), site.session().own(Layout.spatial(x.shape(), true).desc()), x, site.session().own(from.desc()), planes));
      call.arg(DNNL_ARG_SRC, site.session().own(from.desc()), planes);
    } else {
      call.read(context, site, DNNL_ARG_SRC, from, site.chain().source(), x);
    }
    call.arg(DNNL_ARG_WEIGHTS, kernel(found));
    call.write(context, site, to, z);
    if (bias != null) {
      call.arg(DNNL_ARG_BIAS, site.weights().numbers(site.key(affine.links()) + " shift", bias, affine::shift));
    }
    post.bind(context, call);
    return call.scratch(context, found).step();
  }

  private memory kernel(convolution_forward.primitive_desc found) {
    memory.desc wanted = site.session().own(found.weights_desc());
    memory.desc given = site.session().own(OneDnn.strided(kernelDims(), kernelStrides()));
    String key = site.head().inputs().get(1);
    return affine.scales()
        ? site.weights().packed(
            key + " scaled " + site.key(affine.links()), wanted, given, () -> new FloatPointer(affine.scaled(OneDnn.content(w))))
        : site.weights().packed(key, wanted, given, () -> NativeArrays.borrowed(w));
  }

  /** The kernel as oneDNN sees it: groups if there are several, outputs, inputs, window. */
  private long[] kernelDims() {
    int n = x.rank() - 2;
    int lead = groups > 1 ? 1 : 0;
    long[] dims = new long[n + 2 + lead];
    dims[0] = groups;
    dims[lead] = filters / groups;
    dims[lead + 1] = depthwise ? 1 : w.size(n);
    System.arraycopy(w.shape(), 0, dims, lead + 2, n);
    return dims;
  }

  /** Where Keras has it: window, inputs, outputs; depthwise: window, channels, multiplier. */
  private long[] kernelStrides() {
    int n = x.rank() - 2;
    int lead = groups > 1 ? 1 : 0;
    long[] dense = NativeArrays.strides(w.shape());
    long[] strides = new long[n + 2 + lead];
    strides[0] = filters / groups;
    strides[lead] = 1;
    strides[lead + 1] = depthwise ? 1 : dense[n];
    System.arraycopy(dense, 0, strides, lead + 2, n);
    return strides;
  }
}
