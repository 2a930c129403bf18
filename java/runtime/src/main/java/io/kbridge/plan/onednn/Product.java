package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpMapping;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.dnnl.matmul;
import org.bytedeco.dnnl.memory;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Products of two arrays that both may change from call to call. The matrices are read and written where they lie, whatever the axes' order. */
final class Product {
  // NB: oneDNN's limit for the axes of an array.
  private static final int MOST_AXES = 12;

  private Product() {}

  static void register() {
    Heads.chain("Einsum", Product::einsum);
  }

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
    if (right[0] == 1) {
      // NB: one matrix for all rows, since of stacks oneDNN has no fast product with a row added to each.
      return lower(site, OneDnn.plain(left[0] * left[1], left[2]), OneDnn.plain(right[1], right[2]), Layout.rows(shape, 1));
    }
    Layout to = Layout.of(shape, new int[] {0, rank - 2}, new int[] {rank - 2, rank - 1}, new int[] {rank - 1, rank});
    return lower(site, OneDnn.plain(left), OneDnn.plain(right), to);
  }

  /** {@code Einsum} of two arrays, if each group of axes that have one part in the product lies like one axis. */
  private static OpMapping einsum(Site site) {
    String[] terms = site.head().attrs().getString("subscripts").replace(" ", "").split(",|->", -1);
    if (terms.length != 3 || !site.hasInput(0) || !site.hasInput(1) || !List.of(terms).stream().allMatch(Product::isPlain)) {
      return null;
    }
    // NB: oneDNN takes a vector for a matrix, and then fails in some products of vectors when they run.
    if (List.of(terms).stream().anyMatch(term -> term.length() < 2)) {
      return null;
    }
    Labels a = new Labels(terms[0], site.input(0).shape());
    Labels b = new Labels(terms[1], site.input(1).shape());
    if (a.names().length() != site.input(0).rank() || b.names().length() != site.input(1).rank() || !agree(a, b)) {
      return null;
    }
    long[] shape = new long[terms[2].length()];
    for (int i = 0; i < shape.length; i++) {
      char name = terms[2].charAt(i);
      if (!a.has(name) && !b.has(name)) {
        return null;
      }
      shape[i] = a.has(name) ? a.size(name) : b.size(name);
    }
    Labels z = new Labels(terms[2], shape);
    OpMapping dense = InnerProduct.einsum(site, a, b, z, shape);
    return dense == null && site.isFloat() ? strided(site, a, b, z, shape) : dense;
  }

  private static boolean isPlain(String term) {
    return term.matches("[a-zA-Z]*") && term.chars().distinct().count() == term.length();
  }

  private static boolean agree(Labels a, Labels b) {
    return a.names().chars().allMatch(name -> !b.has((char) name) || a.size((char) name) == b.size((char) name));
  }

  private static OpMapping strided(Site site, Labels a, Labels b, Labels z, long[] shape) {
    String batch = z.common(a, true, b, true);
    String rows = z.common(a, true, b, false);
    String columns = z.common(a, false, b, true);
    String summed = a.common(b, true, z, false);
    boolean complete =
        a.names().length() == batch.length() + rows.length() + summed.length()
            && b.names().length() == batch.length() + columns.length() + summed.length();
    int[][] runs = new int[batch.length() + 2][];
    for (int i = 0; i < batch.length(); i++) {
      runs[i] = z.run(batch.substring(i, i + 1));
    }
    runs[batch.length()] = z.run(rows);
    runs[batch.length() + 1] = z.run(columns);
    memory.desc left = desc(a, batch, rows, summed);
    memory.desc right = desc(b, batch, summed, columns);
    boolean fits = complete && runs[batch.length()] != null && runs[batch.length() + 1] != null && runs.length <= MOST_AXES;
    return fits && left != null && right != null ? lower(site, left, right, Layout.of(shape, runs)) : null;
  }

  private static memory.desc desc(Labels array, String batch, String rows, String columns) {
    int count = batch.length();
    long[] dims = new long[count + 2];
    long[] strides = new long[count + 2];
    for (int i = 0; i < dims.length; i++) {
      String group = i < count ? batch.substring(i, i + 1) : i == count ? rows : columns;
      dims[i] = array.size(group);
      strides[i] = array.stride(group);
      if (strides[i] == 0) {
        return null;
      }
    }
    return OneDnn.strided(dims, strides);
  }

  private static OpMapping lower(Site site, memory.desc left, memory.desc right, Layout to) {
    site.session().own(left);
    site.session().own(right);
    memory.desc result = site.session().own(to.desc());
    PostOps post = PostOps.of(site, to, 0, false);
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
      INDArray z = context.allocate(0, to.shape());
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
