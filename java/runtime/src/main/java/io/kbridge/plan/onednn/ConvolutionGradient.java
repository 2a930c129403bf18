package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.algorithm;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.dnnl.convolution_backward_data;
import org.bytedeco.dnnl.convolution_backward_weights;
import org.bytedeco.dnnl.convolution_forward;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** The gradients of a convolution: of its input, or of its kernel. The kernel changes from step to step, so it is copied in every run. */
final class ConvolutionGradient {
  private final Site site;
  private final long[] input;
  private final long[] kernel;
  private final Window window;
  private final boolean depthwise;
  private final Layout from;
  private final Layout to;

  private ConvolutionGradient(Site site, long[] input, long[] kernel, Window window, boolean depthwise) {
    this.site = site;
    this.input = input;
    this.kernel = kernel;
    this.window = window;
    this.depthwise = depthwise;
    this.from = Layout.spatial(input, window.channelsLast());
    this.to = Layout.spatial(site.input(1).shape(), window.channelsLast());
  }

  static void register() {
    for (boolean depthwise : new boolean[] {false, true}) {
      String op = depthwise ? "DepthwiseConv" : "Conv";
      Heads.alone(op + "BackpropInput", site -> lower(site, depthwise, true));
      Heads.alone(op + "BackpropFilter", site -> lower(site, depthwise, false));
    }
  }

  private static OpMapping lower(Site site, boolean depthwise, boolean toInput) {
    if (!site.isFloat()) {
      return null;
    }
    long[] shape = site.head().attrs().getLongs("shape");
    long[] input = toInput ? shape : site.input(0).shape();
    long[] kernel = toInput ? site.input(0).shape() : shape;
    Window window = Window.of(site, input, Arrays.copyOf(kernel, kernel.length - 2));
    if (window == null) {
      return null;
    }
    ConvolutionGradient gradient = new ConvolutionGradient(site, input, kernel, window, depthwise);
    long filters = gradient.to.channels();
    // NB: a transposed convolution may be longer than its windows reach.
    if (!Arrays.equals(window.shape(input[0], filters), site.input(1).shape())) {
      return null;
    }
    return toInput ? gradient.toInput() : gradient.toFilter();
  }

  /** Describes a convolution of these arrays, or one of its gradients. */
  @FunctionalInterface
  private interface Description<T> {
    T of(
        algorithm algorithm, memory.desc from, memory.desc kernel, memory.desc to, long[] strides, long[] gaps, long[] before, long[] after);
  }

  private <T> T describe(Description<T> description) {
    return description.of(
        algorithm.convolution_direct,
        from.desc(),
        OneDnn.any(dims()),
        to.desc(),
        window.strides(),
        window.gaps(),
        window.before(),
        window.after());
  }

  private convolution_forward.primitive_desc forward(primitive_attr attr) {
    return OneDnn.ask(
        () -> new convolution_forward.primitive_desc(
            describe(
                (how, x, w, y, strides, gaps, before, after) ->
                    new convolution_forward.desc(prop_kind.forward_training, how, x, w, y, strides, gaps, before, after)),
            attr,
            OneDnn.cpu()));
  }

  private OpMapping toInput() {
    primitive_attr attr = PostOps.none(site).attr();
    convolution_forward.primitive_desc hint = forward(attr);
    convolution_backward_data.primitive_desc found =
        hint == null
            ? null
            : OneDnn.ask(
                () -> new convolution_backward_data.primitive_desc(
                    describe(convolution_backward_data.desc::new), attr, OneDnn.cpu(), hint));
    if (found == null) {
      return null;
    }
    site.session().own(hint);
    site.session().own(found);
    return context -> {
      INDArray z = context.allocate(0, input);
      OneDnnSession session = site.session();
      Call call = new Call(session, found, new convolution_backward_data(found));
      memory.desc wanted = session.own(found.weights_desc());
      INDArray packed = context.scratch(DataType.INT8, wanted.get_size());
      call.first(Reorder.of(session, session.own(given()), site.input(0), wanted, packed));
      call.arg(DNNL_ARG_WEIGHTS, wanted, packed);
      call.read(context, site, DNNL_ARG_DIFF_DST, to, site.head().inputs().get(1), site.input(1));
      call.arg(DNNL_ARG_DIFF_SRC, session.own(from.desc()), z);
      return call.scratch(context, found).step();
    };
  }

  private OpMapping toFilter() {
    primitive_attr attr = PostOps.none(site).attr();
    convolution_forward.primitive_desc hint = forward(attr);
    convolution_backward_weights.primitive_desc found =
        hint == null
            ? null
            : OneDnn.ask(
                () -> new convolution_backward_weights.primitive_desc(
                    describe(convolution_backward_weights.desc::new), attr, OneDnn.cpu(), hint));
    if (found == null) {
      return null;
    }
    site.session().own(hint);
    site.session().own(found);
    return context -> toFilter(context, found);
  }

  private Step toFilter(OpContext context, convolution_backward_weights.primitive_desc found) {
    INDArray z = context.allocate(0, kernel);
    OneDnnSession session = site.session();
    Call call = new Call(session, found, new convolution_backward_weights(found));
    memory.desc made = session.own(found.diff_weights_desc());
    INDArray packed = context.scratch(DataType.INT8, made.get_size());
    call.read(context, site, DNNL_ARG_SRC, from, site.head().inputs().get(0), site.input(0));
    call.read(context, site, DNNL_ARG_DIFF_DST, to, site.head().inputs().get(1), site.input(1));
    call.arg(DNNL_ARG_DIFF_WEIGHTS, made, packed);
    call.last(Reorder.of(session, made, packed, session.own(given()), z));
    return call.scratch(context, found).step();
  }

  private long[] dims() {
    return kernelDims(kernel, groups(), depthwise);
  }

  private memory.desc given() {
    return OneDnn.strided(dims(), kernelStrides(kernel, groups(), depthwise));
  }

  private long groups() {
    return depthwise ? from.channels() : from.channels() / kernel[kernel.length - 2];
  }

  /** A kernel as oneDNN sees it: groups if there are several, outputs, inputs, window. */
  static long[] kernelDims(long[] kernel, long groups, boolean depthwise) {
    int n = kernel.length - 2;
    List<Long> dims = new ArrayList<>();
    if (groups > 1) {
      dims.add(groups);
    }
    dims.add(depthwise ? kernel[n + 1] * kernel[n] / groups : kernel[n + 1] / groups);
    dims.add(depthwise ? 1 : kernel[n]);
    for (int i = 0; i < n; i++) {
      dims.add(kernel[i]);
    }
    return dims.stream().mapToLong(Long::longValue).toArray();
  }

  /** Where Keras has it: window, inputs, outputs; depthwise: window, channels, multiplier. */
  static long[] kernelStrides(long[] kernel, long groups, boolean depthwise) {
    int n = kernel.length - 2;
    int lead = groups > 1 ? 1 : 0;
    long[] dense = NativeArrays.strides(kernel);
    long[] strides = new long[n + 2 + lead];
    strides[0] = depthwise ? kernel[n + 1] : kernel[n + 1] / groups;
    strides[lead] = 1;
    strides[lead + 1] = depthwise ? 1 : dense[n];
    System.arraycopy(dense, 0, strides, lead + 2, n);
    return strides;
  }
}
