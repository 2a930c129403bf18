package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpMapping;
import java.util.Arrays;
import org.bytedeco.dnnl.matmul;
import org.bytedeco.dnnl.memory;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Products of two arrays that both may change from call to call. */
final class Product {
  private Product() {}

  /** {@code Matmul} of stacks of matrices; a stack of one is repeated. */
  static OpMapping matmul(Site site) {
    INDArray x = site.input(0);
    INDArray y = site.input(1);
    if (x.rank() < 2 || y.rank() < 2) {
      return null;
    }
    int rank = Math.max(x.rank(), y.rank());
    long[] left = stack(x.shape());
    long[] right = stack(y.shape());
    boolean same = Arrays.equals(lead(x.shape()), lead(y.shape()));
    if (!same && left[0] != 1 && right[0] != 1 || left[2] != right[1]) {
      return null;
    }
    long[] larger = left[0] >= right[0] ? x.shape() : y.shape();
    long[] shape = new long[rank];
    Arrays.fill(shape, 1);
    System.arraycopy(larger, 0, shape, rank - larger.length, larger.length);
    shape[rank - 2] = left[1];
    shape[rank - 1] = right[2];
    return lower(site, OneDnn.plain(left), OneDnn.plain(right), shape, new long[] {Math.max(left[0], right[0]), left[1], right[2]});
  }

  private static OpMapping lower(Site site, memory.desc left, memory.desc right, long[] shape, long[] product) {
    Layout to = Layout.rows(shape, 1);
    memory.desc result = site.session().own(OneDnn.plain(product));
    site.session().own(left);
    site.session().own(right);
    PostOps post = site.chain().links().isEmpty() ? PostOps.of(site, to, 0, false) : null;
    if (post == null) {
      return null;
    }
    matmul.primitive_desc found =
        OneDnn.ask(() -> new matmul.primitive_desc(new matmul.desc(left, right, result), post.attr(), OneDnn.cpu()));
    if (found == null) {
      return null;
    }
    site.session().own(found);
    return context -> {
      INDArray z = context.allocate(0, shape);
      Call call = new Call(site.session(), found, new matmul(found));
      call.arg(DNNL_ARG_SRC, left, site.input(0)).arg(DNNL_ARG_WEIGHTS, right, site.input(1)).arg(DNNL_ARG_DST, result, z);
      post.bind(context, call);
      return call.scratch(context, found).step();
    };
  }

  private static long[] lead(long[] shape) {
    return Arrays.copyOf(shape, shape.length - 2);
  }

  private static long[] stack(long[] shape) {
    return new long[] {NativeArrays.length(lead(shape)), shape[shape.length - 2], shape[shape.length - 1]};
  }
}
