package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_BIAS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.algorithm;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.bytedeco.dnnl.convolution_forward;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Convolutions of one to three spatial axes, grouped and depthwise ones among them, with constant kernels. Biases, scales and batch-norm
 * that follow go into the kernel and the bias.
 */
final class Convolution {
  /** Code for depthwise convolutions that is asked for by name, because another comes first. */
  private static final String ROWS = "convolution jit_dw:avx512_common";
  // NB: measured with kernels of 3x3 and 5x5 on images of 4x4 to 113x113; with as many channels neither is always the faster one.
  private static final long MANY = 512;

  private final Site site;
  private final INDArray x;
  private final INDArray w;
  private final Window window;
  private final boolean depthwise;
  private final Numbers numbers;
  private final SmallKernel small;
  private final long groups;
  private final long filters;
  private final Affine affine;

  private Convolution(Site site, Window window, boolean depthwise, Numbers numbers) {
    this.site = site;
    this.window = window;
    this.depthwise = depthwise;
    this.x = site.array(site.chain().source());
    this.w = site.input(1);
    int n = x.rank() - 2;
    long channels = x.size(window.channelsLast() ? n + 1 : 1);
    this.groups = depthwise ? channels : channels / w.size(n);
    this.filters = depthwise ? channels * w.size(n + 1) : w.size(n + 1);
    this.numbers = numbers;
    this.affine = new Affine(filters).absorb(site, to(false));
    this.small = numbers.isSmall() ? new SmallKernel(site, w, affine, numbers) : null;
  }

  static void register() {
    Heads.chain("Conv", site -> lower(site, false));
    Heads.chain("DepthwiseConv", site -> lower(site, true));
  }

  private static OpMapping lower(Site site, boolean depthwise) {
    INDArray x = site.array(site.chain().source());
    if (!site.isFloat() || !site.hasInput(1) || x == null || x.rank() < 3 || site.isConstant(1) && !site.isFinite(1) || site.input(1).rank() != x.rank()) {
      return null;
    }
    int n = x.rank() - 2;
    long[] kernel = site.input(1).shape();
    Window window = Window.of(site, x.shape(), Arrays.copyOf(kernel, n));
    long channels = x.size(site.head().attrs().getString("data_format", "channels_last").equals("channels_last") ? n + 1 : 1);
    boolean fits = depthwise ? kernel[n] == channels : channels % kernel[n] == 0 && kernel[n + 1] % (channels / kernel[n]) == 0;
    if (window == null || !fits) {
      return null;
    }
    Numbers wanted = site.session().isBfloat16() ? Numbers.HALF : site.session().rounded(site.head());
    OpMapping rounded = wanted != null && site.isConstant(1) ? new Convolution(site, window, depthwise, wanted).lower() : null;
    return rounded == null ? new Convolution(site, window, depthwise, Numbers.FLOAT).lower() : rounded;
  }

  private OpMapping lower() {
    OpMapping pairs = numbers == Numbers.FLOAT && !depthwise ? Pairs.lower(site, x, w, window, affine) : null;
    if (pairs != null) {
      return pairs;
    }
    OpMapping panels = small == null && !depthwise ? lowerPanels() : null;
    if (panels != null) {
      return panels;
    }
    OpMapping faster = suitsWinograd() ? lowerFaster() : null;
    if (faster != null) {
      return faster;
    }
    boolean inBlocks = site.session().inBlocks() && window.channelsLast() && Layout.hasBlocks(to(false).shape()) && (groups == 1 || depthwise);
    // NB: oneDNN reads images of a few channels into blocks, where they come as planes.
    boolean planes = inBlocks && !Layout.hasBlocks(x.shape());
    if (inBlocks) {
      return lower(planes ? Form.planes(Layout.planes(x.shape()), to(true)) : Form.direct(from(true), to(true)));
    }
    OpMapping rows = depthwise && numbers == Numbers.FLOAT && groups < MANY ? lower(Form.named(from(false), to(false), ROWS)) : null;
    return rows == null ? lower(Form.direct(from(false), to(false))) : rows;
  }

  private OpMapping lowerPanels() {
    return Panels.lower(site, x, w, window, affine, from(site.isBlocked(site.chain().source())), to(site.isBlocked(site.result())));
  }

  /** Finds a faster way than the direct one, by Winograd's algorithm; null if there is none. */
  private OpMapping lowerFaster() {
    List<Winograd> tiles = Winograd.find(site, x, w, window, affine);
    List<Winograd> tried = tiles.stream().filter(Winograd::isPlausible).map(Winograd::alone).collect(Collectors.toList());
    Trial trial = site.session().trial(key() + tried, byClock -> trial(byClock, tried));
    boolean pools = tiles.stream().anyMatch(Winograd::pools);
    Trial.Way way = trial == null ? Trial.Way.DIRECT : trial.fastest(site.isBlocked(site.chain().source()), site.isBlocked(site.result()), pools);
    if (way == Trial.Way.TILES) {
      return tiles.stream().filter(one -> trial.suits(one.form())).findFirst().map(one -> one.mapping(x)).orElse(null);
    }
    OpMapping inBlocks = way == Trial.Way.BLOCKS ? lower(Form.winograd(from(true), to(true), trial.implementation())) : null;
    if (inBlocks != null) {
      site.session().keepBlocks(site.result());
    }
    return inBlocks;
  }

  private Layout from(boolean blocked) {
    return Layout.spatial(x.shape(), window.channelsLast()).blocked(blocked).stored(numbers);
  }

  private Layout to(boolean blocked) {
    Layout layout = Layout.spatial(window.shape(x.size(0), filters), window.channelsLast()).blocked(blocked);
    return layout.stored(numbers == Numbers.FLOAT ? numbers : site.session().numbers(site.result()));
  }

  private OpMapping lower(Form form) {
    OpMapping inPlace = lower(form, true);
    return inPlace == null ? lower(form, false) : inPlace;
  }

  private OpMapping lower(Form form, boolean inPlace) {
    PostOps post = PostOps.of(site, form.to, affine.links(), inPlace);
    if (post == null || inPlace && post.summed() == null || form.way == algorithm.convolution_winograd && post.isEmpty()) {
      return null;
    }
    primitive_attr attr = post.rounded().attr();
    if (small != null) {
      small.scale(attr);
    }
    convolution_forward.primitive_desc found = OneDnn.ask(() -> describe(form, attr));
    if (found == null) {
      return null;
    }
    site.session().own(found);
    // NB: oneDNN 2.5.2's convolution by products reads an operand that differs between samples wrongly from the second sample on.
    if (OneDnn.implementation(found).contains(":gemm") && post.reads()) {
      return null;
    }
    if (small != null && !IntegerProduct.canPack(whole(), site.session().own(found.weights_desc()))) {
      return null;
    }
    return context -> compile(context, form, found, post);
  }

  /** Tells whether Winograd's algorithm is worth a try. */
  private boolean suitsWinograd() {
    boolean known = Arrays.stream(WinogradForm.values()).anyMatch(form -> form.fits(window.sizes()));
    boolean dense = Arrays.stream(window.strides()).allMatch(stride -> stride == 1) && Arrays.stream(window.gaps()).allMatch(gap -> gap == 0);
    boolean stored = site.session().numbers(site.chain().source()) == Numbers.FLOAT && site.session().numbers(site.result()) == Numbers.FLOAT;
    return site.isConstant(1) && known && dense && numbers == Numbers.FLOAT && stored && groups == 1 && window.channelsLast() && w.size(2) >= 32
        && w.size(2) % Layout.BLOCK == 0 && filters % Layout.BLOCK == 0 && window.shape(1, 1)[1] >= 7;
  }

  /** Tells all that the time of such a convolution depends on. */
  private String key() {
    return Stream.of(x.shape(), w.shape(), window.before(), window.after()).map(Arrays::toString).collect(Collectors.joining())
        + affine.shifts();
  }

  /** Finds out which algorithm is faster; null if there is no choice. */
  private Trial trial(boolean byClock, List<Winograd> tiles) {
    primitive_attr plain = PostOps.none(site).attr();
    try (OneDnnSession aside = site.session().aside()) {
      convolution_forward.primitive_desc direct = OneDnn.ask(() -> describe(Form.direct(from(false), to(false)), plain));
      List<convolution_forward.primitive_desc> ways = new ArrayList<>();
      for (String implementation : implementations(plain)) {
        ways.add(aside.own(describe(Form.winograd(from(true), to(true), implementation), plain)));
      }
      convolution_forward.primitive_desc blocked = OneDnn.ask(() -> describe(Form.direct(from(true), to(true)), plain));
      if (direct == null || blocked == null || ways.isEmpty() && tiles.isEmpty()) {
        return null;
      }
      aside.own(direct);
      aside.own(blocked);
      if (!byClock) {
        return ways.isEmpty() ? null : Trial.decided(ways.get(0));
      }
      return Trial.run(aside, direct, blocked, ways, tiles);
    }
  }

  /** Returns the names of all implementations of Winograd's algorithm for these shapes. */
  private Set<String> implementations(primitive_attr attr) {
    Set<String> names = new LinkedHashSet<>();
    convolution_forward.primitive_desc way = OneDnn.ask(() -> describe(Form.winograd(from(true), to(true), null), attr));
    while (way != null && names.add(OneDnn.implementation(way)) && way.next_impl() && !OneDnn.implementation(way).contains("ref")) {
      // NB: each name once; there is no other way to tell implementations from each other.
    }
    return names;
  }

  private memory.desc bias() {
    return affine.shifts() ? site.session().own(OneDnn.plain(filters)) : null;
  }

  private convolution_forward.primitive_desc describe(Form form, primitive_attr attr) {
    memory.desc kernel = OneDnn.any(small == null ? numbers.type() : memory.data_type.s8, kernelDims());
    // NB: owned, because oneDNN keeps no copy, and reads it again for the next implementation.
    convolution_forward.desc desc = site.session().own(window.convolution(form.way, form.from.desc(), kernel, bias(), form.to.desc()));
    convolution_forward.primitive_desc found = new convolution_forward.primitive_desc(desc, attr, OneDnn.cpu());
    return form.implementation == null || OneDnn.seek(found, form.implementation) ? found : null;
  }

  private Step compile(OpContext context, Form form, convolution_forward.primitive_desc found, PostOps post) {
    INDArray z = Results.place(context, site, form.to, post);
    OneDnnSession session = site.session();
    Call call = new Call(session, found, new convolution_forward(found));
    if (form.planes) {
      INDArray planes = context.scratch(x.dataType(), x.shape());
      call.first(Reorder.of(session, session.own(from(false).desc()), x, session.own(form.from.desc()), planes));
      call.arg(DNNL_ARG_SRC, session.own(form.from.desc()), planes);
    } else {
      call.read(context, site, DNNL_ARG_SRC, form.from, site.chain().source(), x);
    }
    bindKernel(context, call, found);
    call.write(context, site, form.to, z);
    memory.desc bias = bias();
    if (bias != null) {
      call.arg(DNNL_ARG_BIAS, site.weights().numbers(site.key(affine.links()) + " shift", bias, small == null ? affine::shift : small::bias));
    }
    post.bind(context, call);
    return call.scratch(context, found).step();
  }

  /** A constant kernel is packed once for all plans, one that changes in every run. */
  private void bindKernel(OpContext context, Call call, convolution_forward.primitive_desc found) {
    if (site.isConstant(1)) {
      call.arg(DNNL_ARG_WEIGHTS, kernel(found));
      return;
    }
    memory.desc wanted = site.session().own(found.weights_desc());
    INDArray packed = context.scratch(DataType.INT8, wanted.get_size());
    memory.desc given = site.session().own(OneDnn.strided(kernelDims(), kernelStrides()));
    call.first(Reorder.of(site.session(), given, w, wanted, packed));
    call.arg(DNNL_ARG_WEIGHTS, wanted, packed);
  }

  private memory kernel(convolution_forward.primitive_desc found) {
    memory.desc wanted = site.session().own(found.weights_desc());
    memory.desc given = site.session().own(OneDnn.strided(kernelDims(), kernelStrides()));
    String key = site.head().inputs().get(1);
    if (small != null) {
      return site.weights().packed(site.key(affine.links()) + " in 8 bits", wanted, whole(), small.content());
    }
    return affine.scales()
        ? site.weights().packed(
            key + " scaled " + site.key(affine.links()), wanted, given, () -> new FloatPointer(affine.scaled(OneDnn.content(w))))
        : site.weights().packed(key, wanted, given, () -> NativeArrays.borrowed(w));
  }

  /** Describes the kernel in 8 bits as it is rounded, in the order of the model's. */
  private memory.desc whole() {
    return site.session().own(OneDnn.strided(memory.data_type.s8, kernelDims(), kernelStrides()));
  }

  private long[] kernelDims() {
    return ConvolutionGradient.kernelDims(w.shape(), groups, depthwise);
  }

  private long[] kernelStrides() {
    return ConvolutionGradient.kernelStrides(w.shape(), groups, depthwise);
  }

  /** How a convolution may be computed: by which algorithm, from and to which layouts. */
  private static final class Form {
    private final algorithm way;
    private final Layout from;
    private final Layout to;
    private final boolean planes;
    private final String implementation;

    private Form(algorithm way, Layout from, Layout to, boolean planes, String implementation) {
      this.way = way;
      this.from = from;
      this.to = to;
      this.planes = planes;
      this.implementation = implementation;
    }

    static Form direct(Layout from, Layout to) {
      return new Form(algorithm.convolution_direct, from, to, false, null);
    }

    /** By the implementation of a name. */
    static Form named(Layout from, Layout to, String implementation) {
      return new Form(algorithm.convolution_direct, from, to, false, implementation);
    }

    /** From one plane for each channel. */
    static Form planes(Layout from, Layout to) {
      return new Form(algorithm.convolution_direct, from, to, true, null);
    }

    /** In blocks; by the implementation of a name, or by the first there is. */
    static Form winograd(Layout from, Layout to, String implementation) {
      return new Form(algorithm.convolution_winograd, from, to, false, implementation);
    }
  }
}
