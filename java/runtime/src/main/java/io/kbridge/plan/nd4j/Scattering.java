package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** Writing to places given by indices, and sums by group. */
public final class Scattering implements OpMappings {
  /** Makes the family; for the service loader. */
  public Scattering() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Scatter", Scattering::scatter);
    registry.op("ScatterUpdate", Scattering::scatterUpdate);
    registry.op("SegmentSum", segment("unsorted_segment_sum"));
    registry.op("SegmentMax", segment("unsorted_segment_max"));
    registry.op("SegmentMin", segment("unsorted_segment_min"));
    registry.op("SegmentProd", segment("unsorted_segment_prod"));
  }

  /** {@code Scatter}: values of equal indices are added, in an array of zeros. */
  private static Step scatter(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.dims("shape"));
    return write(context, k.fill(z, 0), context.input(0), k.input(1, z.dataType()), z, "scatter_add").step();
  }

  private static Step scatterUpdate(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    INDArray z = context.allocate(0, x.shape());
    String reduction = context.attrs().getString("reduction", "upd");
    return write(context, k.copy(x, z), context.input(1), k.input(2, z.dataType()), z, "scatter_" + reduction).step();
  }

  /** Adds the write of updates into rows of z, in place, the indices made flat. */
  private static Kernel write(OpContext context, Kernel k, INDArray indices, INDArray updates, INDArray z, String name) {
    int depth = (int) indices.size(indices.rank() - 1);
    long count = depth == 0 ? 1 : indices.length() / depth;
    INDArray rows = null;
    long[] outer = Arrays.copyOf(z.shape(), depth);
    long[] strides = Shapes.strides(outer);
    for (int i = 0; i < depth; i++) {
      INDArray column = k.scratch(indices.dataType(), count);
      k.copy(Views.select(Views.reshape(indices, count, depth), 1, i), column);
      INDArray part = Indexing.indices(context, k, column, z.size(i));
      INDArray scaled = k.scratchLike(part);
      k.binary("multiply", part, strides[i], scaled);
      if (rows != null) {
        k.binary("add", rows, scaled, scaled);
      }
      rows = scaled;
    }
    long inner = Shapes.size(Arrays.copyOfRange(z.shape(), depth, z.rank()));
    INDArray target = Views.reshape(z, Shapes.size(outer), inner);
    return k.op(name).in(target, rows, Views.reshape(updates, count, inner)).out(target).add();
  }

  /** Segment reductions: ND4J's unsorted ones, which are right for sorted segments too. The count has to be known. */
  private static OpMapping segment(String name) {
    return context -> {
      Kernel k = new Kernel(context);
      if (!context.attrs().has("num_segments")) {
        throw k.unsupported("num_segments to be given", "none");
      }
      long n = context.dim("num_segments");
      INDArray x = context.input(0);
      INDArray z = context.allocate(0, Shapes.replace(x.shape(), 0, n));
      INDArray ids = k.as(Indexing.indices(context, k, context.input(1), n), DataType.INT32);
      long inner = Shapes.size(Arrays.copyOfRange(x.shape(), 1, x.rank()));
      INDArray rows = Views.reshape(x, x.size(0), inner);
      INDArray result = Views.reshape(z, n, inner);
      if (x.size(0) == 0) {
        // NB: ND4J refuses to read no rows.
        return k.broadcast(ofNothing(x.dataType(), name), result).step();
      }
      if (x.size(0) == 1) {
        // NB: a matrix of one row is a vector to ND4J, and gets other numbers; with a third axis it is none.
        k.op(name).in(Views.reshape(x, 1, inner, 1), ids).out(Views.reshape(z, n, inner, 1)).ints(n).add();
      } else {
        k.op(name).in(rows, ids).out(result).ints(n).add();
      }
      if (!x.dataType().isFPType() && !name.endsWith("sum") && !name.endsWith("prod")) {
        fillEmpty(k, ids, result, ofNothing(x.dataType(), name));
      }
      return k.step();
    };
  }

  /** Gives groups without members the smallest (or largest) integer; ND4J leaves the smallest but one. */
  private static void fillEmpty(Kernel k, INDArray ids, INDArray z, INDArray bound) {
    long n = z.size(0);
    INDArray members = k.scratch(DataType.INT32, n, 1);
    INDArray ones = k.scratch(DataType.INT32, ids.length(), 1);
    INDArray empty = k.scratch(DataType.BOOL, n, 1);
    k.fill(ones, 1).op("unsorted_segment_sum").in(ones, ids).out(members).ints(n).add();
    k.binary("equals", members, 0, empty);
    Choice.where(k, empty, bound, z, z);
  }

  /** What a reduction gives for a group without members. */
  private static INDArray ofNothing(DataType type, String name) {
    if (name.endsWith("sum") || name.endsWith("prod")) {
      return Nd4j.scalar(type, name.endsWith("sum") ? 0 : 1);
    }
    boolean smallest = name.endsWith("max");
    if (type.isFPType()) {
      return Nd4j.scalar(type, smallest ? -Elementwise.largest(type) : Elementwise.largest(type));
    }
    long bits = type.width() * 8L - 1;
    return Nd4j.createFromArray(smallest ? -1L << bits : ~(-1L << bits)).castTo(type).reshape();
  }
}
