package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_MULTIPLE_SRC;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.dnnl.concat;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.indexing.NDArrayIndex;

/** What moves data and computes nothing. */
final class Movement {
  private Movement() {}

  static void register() {
    Heads.alone("Concatenate", Movement::concatenate);
    Heads.alone("Full", Movement::zeros);
    Heads.alone("Split", Movement::split);
  }

  /** {@code Full} of zeros, such as the first states of recurrent layers. */
  private static OpMapping zeros(Site site) {
    if (!site.isFloat() || !site.isConstant(0) || Float.floatToRawIntBits(OneDnn.content(site.input(0))[0]) != 0) {
      return null;
    }
    return context -> {
      INDArray z = context.allocate(0, context.dims("shape"));
      if (z.isEmpty()) {
        return null;
      }
      Pointer start = site.session().own(NativeArrays.borrowed(z));
      long bytes = z.length() * z.dataType().width();
      return () -> Pointer.memset(start, 0, bytes);
    };
  }

  private static OpMapping concatenate(Site site) {
    int count = site.head().inputs().size();
    if (!site.isFloat() || !site.head().attrs().json("axis").isIntegralNumber()) {
      return null;
    }
    int axis = site.head().attrs().getInt("axis");
    long[] shape = null;
    boolean inBlocks = axis == 3 && site.head().inputs().stream().anyMatch(site.session()::isBlocked)
        || site.session().isBlocked(site.result());
    boolean half = site.session().isHalf(site.result());
    memory.desc parts = site.session().own(new memory.desc(count));
    for (int i = 0; i < count; i++) {
      if (!site.hasInput(i)) {
        return null;
      }
      long[] own = site.input(i).shape();
      parts.position(i).put(site.session().own(layout(own, axis, inBlocks).half(half).desc()));
      long sum = shape == null ? 0 : shape[axis];
      shape = own.clone();
      shape[axis] += sum;
    }
    parts.position(0);
    long[] result = shape;
    Layout to = layout(result, axis, inBlocks).half(half);
    primitive_attr none = PostOps.none(site).attr();
    concat.primitive_desc found = OneDnn.ask(() -> new concat.primitive_desc(site.session().own(to.desc()), 1, parts, OneDnn.cpu(), none));
    if (found == null) {
      return null;
    }
    site.session().own(found);
    return context -> {
      INDArray z = context.allocate(0, result);
      Call call = new Call(site.session(), found, new concat(found)).write(context, site, to, z);
      for (int i = 0; i < count; i++) {
        Layout part = layout(site.input(i).shape(), axis, inBlocks).half(half);
        call.read(context, site, DNNL_ARG_MULTIPLE_SRC + i, part, site.head().inputs().get(i), site.input(i));
      }
      return call.scratch(context, found).step();
    };
  }

  /** Parts of one size along an axis: each is a copy of some columns. */
  private static OpMapping split(Site site) {
    INDArray x = site.input(0);
    int count = site.head().outputs().size();
    if (!site.isFloat() || site.head().attrs().json("indices_or_sections").isArray()
        || site.isBlocked(site.head().inputs().get(0)) || site.session().isHalf(site.head().inputs().get(0))) {
      return null;
    }
    int axis = site.head().attrs().getInt("axis");
    long rows = NativeArrays.length(Arrays.copyOf(x.shape(), axis));
    long width = x.length() / rows;
    long part = width / count;
    memory.desc given = site.session().own(OneDnn.strided(new long[] {rows, part}, new long[] {width, 1}));
    memory.desc wanted = site.session().own(OneDnn.plain(rows, part));
    long[] shape = x.shape().clone();
    shape[axis] /= count;
    return context -> {
      INDArray all = x.reshape(rows, width);
      List<Step> copies = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        INDArray columns = all.get(NDArrayIndex.all(), NDArrayIndex.interval(i * part, (i + 1) * part));
        copies.add(Reorder.of(site.session(), given, columns, wanted, context.allocate(i, shape)));
      }
      return new StepGroup(copies, copies.get(0).implementation());
    };
  }

  private static Layout layout(long[] shape, int axis, boolean inBlocks) {
    return inBlocks ? Layout.spatial(shape, true).blocked(true) : Layout.rows(shape, shape.length - axis);
  }
}
