package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.LongStream;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Sorting, and running sums. Sorting is done in Java, row by row: ND4J's {@code top_k} repeats indices where values are equal, and it has
 * no sort that tells the indices.
 */
public final class Ordering implements OpMappings {
  /** Makes the family; for the service loader. */
  public Ordering() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Sort", Ordering::sort);
    registry.op("Argsort", Ordering::argsort);
    registry.op("TopK", Ordering::topK);
    registry.op("InTopK", Ordering::inTopK);
    registry.op("SearchSorted", Ordering::searchSorted);
    registry.op("Cumsum", context -> running(context, "add"));
    registry.op("Cumprod", context -> running(context, "multiply"));
  }

  /** The rows of an array while they are sorted: keys as float64, or as int64 for integers, and the order found. */
  private static final class Rows {
    private final INDArray source;
    private final int length;
    private final boolean whole;
    private final boolean descending;
    private final double[] numbers;
    private final long[] integers;
    private final Integer[] order;

    Rows(INDArray source, int length, boolean descending) {
      this.source = source;
      this.length = length;
      this.descending = descending;
      whole = !source.dataType().isFPType();
      numbers = new double[whole ? 0 : length];
      integers = new long[whole ? length : 0];
      order = new Integer[length];
    }

    /** Reads a row and finds its order; equal keys keep theirs. */
    Integer[] order(long row) {
      for (int i = 0; i < length; i++) {
        order[i] = i;
        if (whole) {
          integers[i] = source.data().getLong(row * length + i);
        } else {
          numbers[i] = source.data().getDouble(row * length + i);
        }
      }
      Comparator<Integer> rising =
          whole ? (a, b) -> Long.compare(integers[a], integers[b]) : (a, b) -> compare(numbers[a], numbers[b]);
      Arrays.sort(order, descending ? rising.reversed() : rising);
      return order;
    }

    private static int compare(double a, double b) {
      // The two zeros are equal; NaN comes last.
      return a == b ? 0 : Double.compare(a, b);
    }

    void put(INDArray target, long at, long row, int index) {
      if (whole) {
        target.data().put(at, integers[index]);
      } else {
        target.data().put(at, numbers[index]);
      }
    }
  }

  private static Step sort(OpContext context) {
    return sorted(context, false);
  }

  private static Step argsort(OpContext context) {
    return sorted(context, true);
  }

  private static Step sorted(OpContext context, boolean indices) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    sorted(k, context.input(0), z, context.attrs().getInt("axis"), indices);
    return k.step();
  }

  /**
   * Adds a sort along an axis, smallest first: the axis is moved last, rows are sorted, and the axis is moved back.
   *
   * @param k takes the calls
   * @param x what is sorted
   * @param z the sorted values, or the indices they come from
   * @param axis the axis
   * @param indices whether indices are wanted
   */
  static void sorted(Kernel k, INDArray x, INDArray z, int axis, boolean indices) {
    int[] order = Shapes.range(x.rank());
    order[axis] = x.rank() - 1;
    order[x.rank() - 1] = axis;
    INDArray moved = Views.permute(x, order);
    DataType type = x.dataType() == DataType.BOOL ? DataType.INT32 : x.dataType();
    INDArray copy = k.scratchLike(moved);
    INDArray source = k.copy(moved, copy).as(copy, type);
    INDArray result = k.scratch(indices ? DataType.INT32 : type, moved.shape());
    int n = (int) x.size(axis);
    Rows rows = new Rows(source, n, false);
    k.then(() -> fill(rows, result, n, n, indices));
    k.copy(Views.permute(k.as(result, z.dataType()), order), z);
  }

  private static void fill(Rows rows, INDArray target, int n, int count, boolean indices) {
    long total = n == 0 ? 0 : rows.source.length() / n;
    for (long row = 0; row < total; row++) {
      Integer[] order = rows.order(row);
      for (int i = 0; i < count; i++) {
        if (indices) {
          target.data().put(row * count + i, order[i].intValue());
        } else {
          rows.put(target, row * count + i, row, order[i]);
        }
      }
    }
  }

  /** {@code TopK} on the last axis: largest first; of equal values the first ones. */
  private static Step topK(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray x = context.input(0);
    int last = x.rank() - 1;
    int n = (int) x.size(last);
    int count = (int) context.dim("k");
    long[] shape = Shapes.replace(x.shape(), last, count);
    INDArray values = context.allocate(0, shape);
    INDArray indices = context.allocate(1, shape);
    INDArray source = k.scratchLike(x);
    INDArray found = k.scratchLike(values);
    INDArray places = k.scratch(DataType.INT32, shape);
    k.copy(x, source);
    Rows rows = new Rows(source, n, true);
    k.then(
        () -> {
          fill(rows, found, n, count, false);
          fill(rows, places, n, count, true);
        });
    return k.copy(found, values).copy(k.as(places, indices.dataType()), indices).step();
  }

  /** {@code InTopK}: whether fewer than k predictions are larger than that of the target. */
  private static Step inTopK(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray targets = context.input(0);
    INDArray predictions = context.input(1);
    INDArray z = context.allocate(0, targets.shape());
    long n = targets.length();
    long classes = predictions.size(1);
    INDArray flat = k.scratch(DataType.INT64, n);
    INDArray starts = Nd4j.createFromArray(LongStream.range(0, n).map(i -> i * classes).toArray());
    k.binary("add", Indexing.indices(context, k, targets, classes), starts, flat);
    INDArray own = k.scratch(predictions.dataType(), n, 1);
    Indexing.gather(k, Views.reshape(predictions, n * classes, 1), flat, own, 0);
    INDArray larger = k.scratch(DataType.BOOL, n, classes);
    INDArray count = k.scratch(DataType.INT32, n, 1);
    k.binary("greater", predictions, own, larger).reduce("reduce_sum", k.as(larger, DataType.INT32), count, 1);
    return k.binary("less", count, context.dim("k"), Views.reshape(z, n, 1)).step();
  }

  /** {@code SearchSorted}: how many of the sorted numbers are below (or not above) each value. */
  private static Step searchSorted(OpContext context) {
    Kernel k = new Kernel(context);
    INDArray sequence = context.input(0);
    INDArray values = context.input(1);
    INDArray z = context.allocate(0, values.shape());
    INDArray each = Views.expand(k.as(values, sequence.dataType()), values.rank());
    INDArray below = k.scratch(DataType.BOOL, Shapes.insert(values.shape(), values.rank(), sequence.length()));
    boolean left = context.attrs().getString("side", "left").equals("left");
    k.binary(left ? "greater" : "greater_equal", each, sequence, below);
    INDArray count = k.scratch(DataType.INT32, Shapes.insert(values.shape(), values.rank(), 1));
    Reductions.add(k, "reduce_sum", k.as(below, DataType.INT32), count, values.rank());
    return k.cast(Views.reshape(count, z.shape()), z).step();
  }

  /**
   * {@code Cumsum}, {@code Cumprod}: ND4J's {@code cumsum} and {@code cumprod}; they refuse integers, which are added index by index.
   */
  private static Step running(OpContext context, String pairwise) {
    Kernel k = new Kernel(context);
    INDArray z = context.allocate(0, context.input(0).shape());
    INDArray x = k.input(0, z.dataType());
    int axis = context.attrs().getInt("axis");
    if (x.dataType().isFPType()) {
      return k.op(pairwise.equals("add") ? "cumsum" : "cumprod").in(x).out(z).ints(0, 0, axis).add().step();
    }
    long n = x.size(axis);
    if (n > 0) {
      k.copy(Views.select(x, axis, 0), Views.select(z, axis, 0));
    }
    for (long i = 1; i < n; i++) {
      k.binary(pairwise, Views.select(x, axis, i), Views.select(z, axis, i - 1), Views.select(z, axis, i));
    }
    return k.step();
  }
}
