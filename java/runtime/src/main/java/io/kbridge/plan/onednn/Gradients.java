package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WORKSPACE;
import static org.bytedeco.dnnl.global.dnnl.algorithm;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpMapping;
import java.util.Arrays;
import org.bytedeco.dnnl.eltwise_backward;
import org.bytedeco.dnnl.eltwise_forward;
import org.bytedeco.dnnl.matmul;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.pooling_v2_backward;
import org.bytedeco.dnnl.pooling_v2_forward;
import org.bytedeco.dnnl.primitive_attr;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** The gradients of activations, poolings and products. */
final class Gradients {
  private Gradients() {}

  static void register() {
    Heads.alone("ReluGrad", site -> activation(site, algorithm.eltwise_relu, DNNL_ARG_SRC));
    Heads.alone("SigmoidGrad", site -> activation(site, algorithm.eltwise_logistic_use_dst_for_bwd, DNNL_ARG_DST));
    Heads.alone("TanhGrad", site -> activation(site, algorithm.eltwise_tanh_use_dst_for_bwd, DNNL_ARG_DST));
    Heads.alone("MaxPoolGrad", site -> pool(site, algorithm.pooling_max));
    Heads.alone("AveragePoolGrad", site -> pool(site, algorithm.pooling_avg_exclude_padding));
    Heads.alone("TransposedMatmul", Gradients::transposedMatmul);
    Heads.alone("Sum", Gradients::sumOfRows);
  }

  /** Of a gradient and the function's output; that of {@code Relu} is positive where its input is. */
  private static OpMapping activation(Site site, algorithm function, int argument) {
    INDArray g = site.input(0);
    INDArray y = site.input(1);
    if (!site.isFloat() || site.session().isBlocked(site.head().inputs().get(0)) || site.session().isBlocked(site.head().inputs().get(1))) {
      return null;
    }
    memory.desc all = site.session().own(OneDnn.plain(g.length()));
    primitive_attr attr = PostOps.none(site).attr();
    eltwise_forward.primitive_desc hint =
        OneDnn.ask(
            () -> new eltwise_forward.primitive_desc(
                new eltwise_forward.desc(prop_kind.forward_training, function, all, 0, 0), attr, OneDnn.cpu()));
    eltwise_backward.primitive_desc found =
        hint == null
            ? null
            : OneDnn.ask(
                () -> new eltwise_backward.primitive_desc(
                    new eltwise_backward.desc(function, all, all, 0, 0), attr, OneDnn.cpu(), hint));
    if (found == null) {
      return null;
    }
    site.session().own(hint);
    site.session().own(found);
    return context -> {
      INDArray z = context.allocate(0, g.shape());
      Call call = new Call(site.session(), found, new eltwise_backward(found));
      call.arg(argument, all, y).arg(DNNL_ARG_DIFF_DST, all, g).arg(DNNL_ARG_DIFF_SRC, all, z);
      return call.scratch(context, found).step();
    };
  }

  /** A maximum needs to know where it was: the forward pooling is done again, which takes less time than to keep that costs memory. */
  private static OpMapping pool(Site site, algorithm function) {
    INDArray x = site.input(0);
    if (!site.isFloat() || x.rank() < 3 || x.rank() > 5) {
      return null;
    }
    Window window = Window.of(site, x.shape(), site.head().attrs().getLongs("pool_size"));
    if (window == null || !window.touchesInput(x.shape())) {
      return null;
    }
    Layout from = Layout.spatial(x.shape(), window.channelsLast());
    Layout to = Layout.spatial(window.shape(x.size(0), from.channels()), window.channelsLast());
    primitive_attr attr = PostOps.none(site).attr();
    memory.desc source = site.session().own(from.desc());
    memory.desc target = site.session().own(to.desc());
    pooling_v2_forward.primitive_desc forward =
        OneDnn.ask(
            () -> new pooling_v2_forward.primitive_desc(
                new pooling_v2_forward.desc(
                    prop_kind.forward_training, function, source, target, window.strides(), window.sizes(), window.gaps(),
                    window.before(), window.after()),
                attr,
                OneDnn.cpu()));
    pooling_v2_backward.primitive_desc found =
        forward == null
            ? null
            : OneDnn.ask(
                () -> new pooling_v2_backward.primitive_desc(
                    new pooling_v2_backward.desc(
                        function, source, target, window.strides(), window.sizes(), window.gaps(), window.before(), window.after()),
                    attr,
                    OneDnn.cpu(),
                    forward));
    if (found == null) {
      return null;
    }
    site.session().own(forward);
    site.session().own(found);
    return context -> {
      INDArray z = context.allocate(0, x.shape());
      Call back = new Call(site.session(), found, new pooling_v2_backward(found));
      if (function == algorithm.pooling_max) {
        memory.desc places = site.session().own(forward.workspace_desc());
        INDArray workspace = context.scratch(DataType.INT8, places.get_size());
        Call again = new Call(site.session(), forward, new pooling_v2_forward(forward));
        again.read(context, site, DNNL_ARG_SRC, from, site.head().inputs().get(0), x);
        again.arg(DNNL_ARG_DST, target, context.scratch(DataType.FLOAT, to.shape())).arg(DNNL_ARG_WORKSPACE, places, workspace);
        back.first(again.scratch(context, forward).step());
        back.arg(DNNL_ARG_WORKSPACE, places, workspace);
      }
      back.read(context, site, DNNL_ARG_DIFF_DST, to, site.head().inputs().get(1), site.input(1));
      back.arg(DNNL_ARG_DIFF_SRC, source, z);
      return back.scratch(context, found).step();
    };
  }

  /** Operands are read with their last two axes exchanged, without a copy. */
  private static OpMapping transposedMatmul(Site site) {
    INDArray x = site.input(0);
    INDArray y = site.input(1);
    int rank = x.rank();
    if (!site.isFloat() || !Arrays.equals(Arrays.copyOf(x.shape(), rank - 2), Arrays.copyOf(y.shape(), rank - 2))) {
      return null;
    }
    memory.desc left = site.session().own(operand(x, site.head().attrs().getBoolean("transpose_x1")));
    memory.desc right = site.session().own(operand(y, site.head().attrs().getBoolean("transpose_x2")));
    long[] shape = x.shape().clone();
    shape[rank - 2] = x.size(site.head().attrs().getBoolean("transpose_x1") ? rank - 1 : rank - 2);
    shape[rank - 1] = y.size(site.head().attrs().getBoolean("transpose_x2") ? rank - 2 : rank - 1);
    memory.desc result = site.session().own(OneDnn.plain(stack(shape)));
    primitive_attr attr = PostOps.none(site).attr();
    matmul.primitive_desc found =
        OneDnn.ask(() -> new matmul.primitive_desc(new matmul.desc(left, right, result), attr, OneDnn.cpu()));
    if (found == null) {
      return null;
    }
    site.session().own(found);
    return context -> {
      INDArray z = context.allocate(0, shape);
      Call call = new Call(site.session(), found, new matmul(found));
      call.arg(DNNL_ARG_SRC, left, x).arg(DNNL_ARG_WEIGHTS, right, y).arg(DNNL_ARG_DST, result, z);
      return call.scratch(context, found).step();
    };
  }

  /** A sum over the first axes, which is what a bias gets: ones times the rows. ND4J's goes over memory column by column. */
  private static OpMapping sumOfRows(Site site) {
    INDArray x = site.input(0);
    long[] axes = site.head().attrs().getLongs("axis");
    Arrays.sort(axes);
    int n = axes.length;
    if (!site.isFloat() || n == 0 || axes[n - 1] != n - 1 || n >= x.rank() || site.session().isBlocked(site.head().inputs().get(0))) {
      return null;
    }
    long columns = NativeArrays.length(Arrays.copyOfRange(x.shape(), n, x.rank()));
    long rows = x.length() / columns;
    ColumnSums sums = ColumnSums.of(site, rows, columns);
    if (sums == null) {
      return null;
    }
    long[] shape = Arrays.copyOfRange(x.shape(), n, x.rank());
    if (site.head().attrs().getBoolean("keepdims", false)) {
      shape = x.shape().clone();
      Arrays.fill(shape, 0, n, 1);
    }
    long[] size = shape;
    return context -> sums.step(context, x, context.allocate(0, size), 1);
  }

  private static memory.desc operand(INDArray x, boolean exchanged) {
    long[] dims = stack(x.shape());
    long[] strides = NativeArrays.strides(dims);
    return exchanged
        ? OneDnn.strided(new long[] {dims[0], dims[2], dims[1]}, new long[] {strides[0], strides[2], strides[1]})
        : OneDnn.strided(dims, strides);
  }

  private static long[] stack(long[] shape) {
    int rank = shape.length;
    return new long[] {NativeArrays.length(Arrays.copyOf(shape, rank - 2)), shape[rank - 2], shape[rank - 1]};
  }
}
