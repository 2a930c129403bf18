package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_SCALE_SHIFT;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DIFF_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_MEAN;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SCALE_SHIFT;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_0;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_1;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_VARIANCE;
import static org.bytedeco.dnnl.global.dnnl.algorithm;
import static org.bytedeco.dnnl.global.dnnl.normalization_flags;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Step;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.dnnl.batch_normalization_backward;
import org.bytedeco.dnnl.batch_normalization_forward;
import org.bytedeco.dnnl.binary;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** What training needs of batch normalisation: the statistics of a batch, and the gradients of what they normalise. */
final class BatchNormalization {
  private BatchNormalization() {}

  static void register() {
    Heads.alone("Moments", BatchNormalization::moments);
    Heads.alone("BatchNormGrad", BatchNormalization::gradient);
  }

  /**
   * Mean and variance over all axes but the last, in two passes as TensorFlow does. The primitive of batch normalisation finds them too, but
   * takes several times as long: it goes over memory channel by channel.
   */
  private static OpMapping moments(Site site) {
    INDArray x = site.input(0);
    int rank = x.rank();
    int[] axes = IntStream.range(0, rank - 1).toArray();
    if (!site.isFloat() || rank < 2 || !isOver(site, axes) || site.isBlocked(site.head().inputs().get(0))) {
      return null;
    }
    long channels = x.size(rank - 1);
    long rows = x.length() / channels;
    ColumnSums sums = ColumnSums.of(site, rows, channels);
    memory.desc all = site.session().own(OneDnn.plain(rows, channels));
    memory.desc each = site.session().own(OneDnn.plain(1, channels));
    primitive_attr attr = PostOps.of(site, Eltwise.square()).attr();
    binary.primitive_desc found =
        OneDnn.ask(() -> new binary.primitive_desc(new binary.desc(algorithm.binary_sub, all, each, all), attr, OneDnn.cpu()));
    if (sums == null || found == null) {
      return null;
    }
    site.session().own(found);
    long[] shape = {channels};
    if (site.head().attrs().getBoolean("keepdims", false)) {
      shape = x.shape().clone();
      Arrays.fill(shape, 0, rank - 1, 1);
    }
    long[] size = shape;
    return context -> {
      INDArray mean = context.allocate(0, size);
      INDArray squares = context.scratch(DataType.FLOAT, rows, channels);
      Call away = new Call(site.session(), found, new binary(found));
      away.arg(DNNL_ARG_SRC_0, all, x).arg(DNNL_ARG_SRC_1, each, mean).arg(DNNL_ARG_DST, all, squares);
      float share = 1f / rows;
      List<Step> steps =
          List.of(
              sums.step(context, x, mean, share),
              away.scratch(context, found).step(),
              sums.step(context, squares, context.allocate(1, size), share));
      return new StepGroup(steps, steps.get(0).implementation());
    };
  }

  private static boolean isOver(Site site, int... axes) {
    if (!site.head().attrs().json("axes").isArray()) {
      return false;
    }
    long[] given = site.head().attrs().getLongs("axes");
    Arrays.sort(given);
    return Arrays.equals(given, Arrays.stream(axes).asLongStream().toArray());
  }

  private static OpMapping gradient(Site site) {
    INDArray x = site.input(0);
    int axis = site.head().attrs().getInt("axis");
    if (!site.isFloat() || site.isBlocked(site.head().inputs().get(0)) || site.isBlocked(site.head().inputs().get(4))) {
      return null;
    }
    memory.desc data = site.session().own(desc(x, axis));
    primitive_attr attr = PostOps.none(site).attr();
    float epsilon = (float) site.head().attrs().getDouble("epsilon", 1e-3);
    int flags = normalization_flags.use_scale_shift.value;
    batch_normalization_forward.primitive_desc hint =
        OneDnn.ask(
            () -> new batch_normalization_forward.primitive_desc(
                new batch_normalization_forward.desc(prop_kind.forward_training.value, data, epsilon, flags), attr, OneDnn.cpu()));
    batch_normalization_backward.primitive_desc found =
        hint == null
            ? null
            : OneDnn.ask(
                () -> new batch_normalization_backward.primitive_desc(
                    new batch_normalization_backward.desc(prop_kind.backward.value, data, data, epsilon, flags), attr, OneDnn.cpu(), hint));
    if (found == null) {
      return null;
    }
    site.session().own(hint);
    site.session().own(found);
    long channels = x.size(axis);
    memory.desc each = site.session().own(OneDnn.plain(channels));
    memory.desc pair = site.session().own(OneDnn.plain(2, channels));
    return context -> {
      Call call = new Call(site.session(), found, new batch_normalization_backward(found));
      call.arg(DNNL_ARG_SRC, data, x).arg(DNNL_ARG_MEAN, each, site.input(1)).arg(DNNL_ARG_VARIANCE, each, site.input(2));
      call.arg(DNNL_ARG_DIFF_DST, data, site.input(4)).arg(DNNL_ARG_DIFF_SRC, data, context.allocate(0, x.shape()));
      // NB: scale and offset in one array each way; the offset itself has no part in the gradients.
      INDArray scale = context.scratch(DataType.FLOAT, 2, channels);
      INDArray slopes = context.scratch(DataType.FLOAT, 2, channels);
      call.arg(DNNL_ARG_SCALE_SHIFT, pair, scale).arg(DNNL_ARG_DIFF_SCALE_SHIFT, pair, slopes);
      call.first(copy(site.session(), site.input(3), scale.getRow(0)));
      call.last(copy(site.session(), slopes.getRow(0), context.allocate(1, channels)));
      call.last(copy(site.session(), slopes.getRow(1), context.allocate(2, channels)));
      return call.scratch(context, found).step();
    };
  }

  private static Step copy(OneDnnSession session, INDArray from, INDArray to) {
    Pointer source = session.own(NativeArrays.borrowed(from));
    Pointer target = session.own(NativeArrays.borrowed(to));
    long bytes = from.length() * Float.BYTES;
    return () -> Pointer.memcpy(target, source, bytes);
  }

  /** An array as samples, channels and positions, wherever the axis of the channels is; with the channels last, all are positions of one sample. */
  private static memory.desc desc(INDArray x, int axis) {
    long[] shape = x.shape();
    long channels = shape[axis];
    long after = NativeArrays.length(Arrays.copyOfRange(shape, axis + 1, shape.length));
    long before = x.length() / channels / after;
    if (after > 1) {
      return OneDnn.plain(before, channels, after, 1);
    }
    return OneDnn.strided(new long[] {1, channels, before, 1}, new long[] {x.length(), 1, channels, channels});
  }
}
