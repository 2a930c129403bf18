package io.kbridge.plan.nd4j;

import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Sums of products over named axes, the common ground of matrix products, {@code dot}, {@code tensordot} and {@code einsum}. An array
 * with labels is a view and one character for each of its axes; axes of one label have one size.
 */
final class Contraction {
  private Contraction() {}

  /** An array and the labels of its axes. */
  static final class Labelled {
    private final INDArray array;
    private final String labels;

    /**
     * Puts the two together.
     *
     * @param array a view
     * @param labels one character per axis
     */
    Labelled(INDArray array, String labels) {
      this.array = array;
      this.labels = labels;
    }

    /**
     * Returns the labels.
     *
     * @return one character per axis
     */
    String labels() {
      return labels;
    }

    /**
     * Returns the array.
     *
     * @return a view
     */
    INDArray array() {
      return array;
    }

    private long size(char label) {
      return array.size(labels.indexOf(label));
    }
  }

  /**
   * Multiplies two arrays and sums over the labels that the result lacks.
   *
   * @param k takes the calls
   * @param a first factor; no label twice
   * @param b second factor; no label twice
   * @param labels labels of the result, each one of a's or b's
   * @return the product, in scratch memory
   */
  static Labelled multiply(Kernel k, Labelled a, Labelled b, String labels) {
    Labelled x = sumOut(k, a, labels + b.labels);
    Labelled y = sumOut(k, b, labels + a.labels);
    String shared = common(x.labels, y.labels);
    String batch = common(shared, labels);
    String summed = without(shared, labels);
    String rows = without(x.labels, shared);
    String columns = without(y.labels, shared);
    INDArray left = matrices(k, x, batch, rows, summed);
    INDArray right = matrices(k, y, batch, summed, columns);
    INDArray product = k.scratch(a.array.dataType(), left.size(0), left.size(1), right.size(2));
    matmul(k, left, right, product);
    String found = batch + rows + columns;
    long[] shape = new long[found.length()];
    for (int i = 0; i < shape.length; i++) {
      char label = found.charAt(i);
      shape[i] = x.labels.indexOf(label) >= 0 ? x.size(label) : y.size(label);
    }
    return new Labelled(Views.reshape(product, shape), found);
  }

  /**
   * Adds the copy of a labelled array into an output whose axes are in another order.
   *
   * @param k takes the call
   * @param from the array
   * @param labels the labels of the output's axes: the same ones
   * @param z the output
   */
  static void store(Kernel k, Labelled from, String labels, INDArray z) {
    k.copy(ordered(from, labels), z);
  }

  /** Sums over the labels that are not among some. */
  static Labelled sumOut(Kernel k, Labelled x, String keep) {
    String gone = without(x.labels, keep);
    if (gone.isEmpty()) {
      return x;
    }
    long[] axes = gone.chars().mapToLong(x.labels::indexOf).sorted().toArray();
    INDArray full = contiguous(k, x.array);
    INDArray sum = k.scratch(full.dataType(), Shapes.reduce(full.shape(), axes, true));
    Reductions.add(k, "reduce_sum", full, sum, axes);
    return new Labelled(Views.reshape(sum, Shapes.reduce(full.shape(), axes, false)), without(x.labels, gone));
  }

  private static INDArray matrices(Kernel k, Labelled x, String batch, String rows, String columns) {
    INDArray view = contiguous(k, ordered(x, batch + rows + columns));
    int b = batch.length();
    int r = b + rows.length();
    long[] shape = view.shape();
    return Views.reshape(
        view,
        Shapes.size(Arrays.copyOf(shape, b)),
        Shapes.size(Arrays.copyOfRange(shape, b, r)),
        Shapes.size(Arrays.copyOfRange(shape, r, shape.length)));
  }

  private static INDArray ordered(Labelled x, String labels) {
    return labels.equals(x.labels) ? x.array : Views.permute(x.array, labels.chars().map(x.labels::indexOf).toArray());
  }

  private static INDArray contiguous(Kernel k, INDArray view) {
    if (isContiguous(view)) {
      return view;
    }
    INDArray copy = k.scratchLike(view);
    k.copy(view, copy);
    return copy;
  }

  /**
   * Tells whether a view's elements lie one after the other in 'c' order.
   *
   * @param view the view
   * @return true if so; axes of size 1 do not matter
   */
  static boolean isContiguous(INDArray view) {
    long expected = 1;
    for (int i = view.rank() - 1; i >= 0; i--) {
      if (view.size(i) != 1 && view.stride(i) != expected) {
        return false;
      }
      expected *= view.size(i);
    }
    return true;
  }

  /**
   * Adds the products of matrices: ND4J's {@code matmul}, for one as for equally many. It refuses integers, which are multiplied
   * and summed one by one.
   *
   * @param k takes the calls
   * @param a {@code [batch, rows, n]}, contiguous
   * @param b {@code [batch, n, columns]}, contiguous
   * @param z {@code [batch, rows, columns]}, contiguous
   */
  static void matmul(Kernel k, INDArray a, INDArray b, INDArray z) {
    if (a.size(2) == 0) {
      k.fill(z, 0);
    } else if (!z.dataType().isFPType()) {
      integers(k, a, b, z);
    } else if (z.size(0) == 1) {
      k.op("matmul").in(matrix(a), matrix(b)).out(matrix(z)).ints(0, 0, 0).add();
    } else {
      k.op("matmul").in(a, b).out(z).ints(0, 0, 0).add();
    }
  }

  private static INDArray matrix(INDArray x) {
    return Views.reshape(x, x.size(1), x.size(2));
  }

  private static void integers(Kernel k, INDArray a, INDArray b, INDArray z) {
    DataType type = z.dataType() == DataType.BOOL ? DataType.INT32 : z.dataType();
    INDArray x = Views.expand(k.as(a, type), 3);
    INDArray y = Views.expand(k.as(b, type), 1);
    INDArray products = k.scratch(type, Shapes.broadcast(x.shape(), y.shape()));
    INDArray sum = type == z.dataType() ? z : k.scratch(type, z.shape());
    k.binary("multiply", x, y, products).reduce("reduce_sum", products, sum, 2);
    if (sum != z) {
      k.cast(sum, z);
    }
  }

  private static String common(String a, String b) {
    return filter(a, b, true);
  }

  private static String without(String a, String b) {
    return filter(a, b, false);
  }

  private static String filter(String a, String b, boolean wanted) {
    StringBuilder kept = new StringBuilder();
    for (char label : a.toCharArray()) {
      if (b.indexOf(label) >= 0 == wanted) {
        kept.append(label);
      }
    }
    return kept.toString();
  }
}
