package io.kbridge.plan.nd4j;

import io.kbridge.graph.Subscripts;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Products of arrays. All go through {@code matmul} on matrices put in order first: ND4J's {@code tensordot} fails on two axes,
 * {@code batched_gemm} gives wrong numbers, and {@code matmul} refuses what NumPy would broadcast.
 */
public final class Products implements OpMappings {
  /** Makes the family; for the service loader. */
  public Products() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Matmul", Products::matmul);
    registry.op("Dot", Products::dot);
    registry.op("Inner", Products::inner);
    registry.op("Vdot", Products::vdot);
    registry.op("Outer", Products::outer);
    registry.op("Tensordot", Products::tensordot);
    registry.op("Einsum", Products::einsum);
  }

  /** {@code Matmul}: vectors become matrices, and batch axes that differ are broadcast before the product. */
  private static Step matmul(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray a = context.input(0);
    INDArray b = context.input(1);
    INDArray x = a.rank() == 1 ? Views.expand(a, 0) : a;
    INDArray y = b.rank() == 1 ? Views.expand(b, 1) : b;
    long rows = x.size(x.rank() - 2);
    long columns = y.size(y.rank() - 1);
    long[] batch = Shapes.broadcast(Arrays.copyOf(x.shape(), x.rank() - 2), Arrays.copyOf(y.shape(), y.rank() - 2));
    long[] tail = a.rank() == 1 ? new long[0] : new long[] {rows};
    tail = b.rank() == 1 ? tail : Shapes.concat(tail, new long[] {columns});
    INDArray output = context.allocate(0, Shapes.concat(batch, tail));
    DataType type = computing(context, output);
    INDArray z = k.computed(output, type);
    x = k.as(x, type);
    y = k.as(y, type);
    long inner = x.size(x.rank() - 1);
    if (Shapes.size(y.shape()) == inner * columns) {
      // One matrix on the right: all rows of the left are rows of one matrix.
      long all = Shapes.size(batch) * rows;
      INDArray left = Shapes.size(x.shape()) == all * inner ? x : batched(k, x, batch, rows, inner);
      Contraction.matmul(k, cube(left, 1, all, inner), cube(y, 1, inner, columns), cube(z, 1, all, columns));
      return k.round(z, output).step();
    }
    long count = Shapes.size(batch);
    INDArray left = batched(k, x, batch, rows, inner);
    INDArray right = batched(k, y, batch, inner, columns);
    Contraction.matmul(k, cube(left, count, rows, inner), cube(right, count, inner, columns), cube(z, count, rows, columns));
    return k.round(z, output).step();
  }

  /** Bytes are multiplied as float64, which holds their sums exactly; see {@link Kernel#precise} for the others. */
  private static DataType computing(OpContext context, INDArray z) {
    for (int i = 0; i < context.inputCount(); i++) {
      if (context.input(i).dataType() != DataType.INT8) {
        return Kernel.precise(z.dataType());
      }
    }
    return DataType.DOUBLE;
  }

  private static INDArray batched(Kernel k, INDArray x, long[] batch, long rows, long columns) {
    long[] shape = Shapes.concat(batch, new long[] {rows, columns});
    if (Shapes.size(shape) == x.length()) {
      return x;
    }
    INDArray full = k.scratch(x.dataType(), shape);
    k.broadcast(x, full);
    return full;
  }

  private static INDArray cube(INDArray x, long count, long rows, long columns) {
    return Views.reshape(x, count, rows, columns);
  }

  /** {@code Dot}: last axis with last but one; a scalar multiplies. */
  private static Step dot(OpContext context) {
    int left = context.input(0).rank();
    int right = context.input(1).rank();
    if (left == 0 || right == 0) {
      Kernel k = new Kernel(context);
      INDArray z = context.allocate(0, Shapes.broadcast(context.input(0).shape(), context.input(1).shape()));
      return k.binary("multiply", k.input(0, z.dataType()), k.input(1, z.dataType()), z).step();
    }
    return sumOfProducts(context, Subscripts.dot(left, right));
  }

  /** {@code Inner}: last axis with last. */
  private static Step inner(OpContext context) {
    int left = context.input(0).rank();
    int right = context.input(1).rank();
    return left == 0 || right == 0 ? dot(context) : sumOfProducts(context, Subscripts.inner(left, right));
  }

  private static Step vdot(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0);
    INDArray x = k.input(0, z.dataType());
    INDArray y = k.input(1, z.dataType());
    Contraction.matmul(k, cube(x, 1, 1, x.length()), cube(y, 1, y.length(), 1), cube(z, 1, 1, 1));
    return k.step();
  }

  private static Step outer(OpContext context) {
    Kernel k = new Kernel(context);
    long rows = context.input(0).length();
    long columns = context.input(1).length();
    INDArray z = context.allocate(0, rows, columns);
    INDArray x = Views.reshape(k.input(0, z.dataType()), rows, 1);
    INDArray y = Views.reshape(k.input(1, z.dataType()), 1, columns);
    return k.binary("multiply", x, y, z).step();
  }

  private static Step tensordot(OpContext context) {
    return sumOfProducts(context, Subscripts.tensordot(context.attrs().json("axes"), context.input(0).rank(), context.input(1).rank()));
  }

  /**
   * {@code Einsum}: any subscripts. A label met twice in one operand is a diagonal, which is a view; operands are multiplied from
   * left to right, each product keeping the labels that are still needed.
   */
  private static Step einsum(OpContext context) {
    int[] ranks = IntStream.range(0, context.inputCount()).map(i -> context.input(i).rank()).toArray();
    return sumOfProducts(context, Subscripts.einsum(context.attrs().getString("subscripts"), ranks));
  }

  private static Step sumOfProducts(OpContext context, Subscripts subscripts) {
    List<String> labels = subscripts.operands();
    String out = subscripts.result();
    Kernel k = new Kernel(context);
    long[] shape = new long[out.length()];
    long[] sizes = sizes(context, labels);
    for (int i = 0; i < shape.length; i++) {
      shape[i] = sizes[out.charAt(i)];
    }
    INDArray output = context.allocate(0, shape);
    DataType type = computing(context, output);
    INDArray z = k.computed(output, type);
    Contraction.Labelled product = null;
    for (int i = 0; i < labels.size(); i++) {
      Contraction.Labelled next = diagonal(k.input(i, type), labels.get(i), sizes);
      String needed = out + String.join("", labels.subList(i + 1, labels.size()));
      product = product == null ? next : Contraction.multiply(k, product, next, both(product.labels(), next.labels(), needed));
    }
    Contraction.store(k, Contraction.sumOut(k, product, out), out, z);
    return k.round(z, output).step();
  }

  /** The labels of two operands that are needed later. */
  private static String both(String a, String b, String needed) {
    StringBuilder kept = new StringBuilder();
    for (char label : (a + b).toCharArray()) {
      if (needed.indexOf(label) >= 0 && kept.indexOf(String.valueOf(label)) < 0) {
        kept.append(label);
      }
    }
    return kept.toString();
  }

  private static long[] sizes(OpContext context, List<String> labels) {
    long[] sizes = new long[128];
    Arrays.fill(sizes, 1);
    for (int i = 0; i < labels.size(); i++) {
      for (int axis = 0; axis < labels.get(i).length(); axis++) {
        char label = labels.get(i).charAt(axis);
        sizes[label] = context.input(i).size(axis) == 1 ? sizes[label] : context.input(i).size(axis);
      }
    }
    return sizes;
  }

  /** Sees an operand with each label once, and with axes of size 1 spread to the size the label has elsewhere. */
  private static Contraction.Labelled diagonal(INDArray x, String labels, long[] sizes) {
    StringBuilder once = new StringBuilder();
    long[] strides = new long[labels.length()];
    long[] shape = new long[labels.length()];
    for (int axis = 0; axis < labels.length(); axis++) {
      char label = labels.charAt(axis);
      int at = once.indexOf(String.valueOf(label));
      if (at < 0) {
        at = once.length();
        once.append(label);
      }
      shape[at] = sizes[label];
      strides[at] += x.size(axis) == 1 ? 0 : x.stride(axis);
    }
    if (once.length() == labels.length() && Arrays.equals(shape, x.shape())) {
      return new Contraction.Labelled(x, labels);
    }
    INDArray view = Views.view(x, x.offset(), Arrays.copyOf(shape, once.length()), Arrays.copyOf(strides, once.length()));
    return new Contraction.Labelled(view, once.toString());
  }
}
