package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.Step;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.dnnl.matmul;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Sums of the columns of a matrix: ones times its rows, which goes over memory as it lies. Of many rows in two stages, first groups of rows and
 * then these: no sum has many terms, which would cost digits, and there is work for all cores.
 */
final class ColumnSums {
  private static final long FEW = 256;

  private final Site site;
  private final long rows;
  private final long columns;
  private final long groups;
  private final matmul.primitive_desc first;
  private final matmul.primitive_desc second;

  private ColumnSums(Site site, long rows, long columns) {
    this.site = site;
    this.rows = rows;
    this.columns = columns;
    this.groups = groups(rows);
    this.first =
        groups == rows
            ? null
            : product(OneDnn.plain(groups, 1, rows / groups), OneDnn.plain(groups, rows / groups, columns), OneDnn.plain(groups, 1, columns));
    this.second = product(OneDnn.plain(1, groups), OneDnn.plain(groups, columns), OneDnn.plain(1, columns));
  }

  /** Finds the primitives for matrices of a size, or null. */
  static ColumnSums of(Site site, long rows, long columns) {
    ColumnSums sums = new ColumnSums(site, rows, columns);
    return sums.first == null && sums.groups < rows || sums.second == null ? null : sums;
  }

  /** The largest divisor up to the root; as many groups as rows, which leaves one stage, if there are few. */
  private static long groups(long rows) {
    if (rows <= FEW) {
      return rows;
    }
    long groups = (long) Math.sqrt(rows);
    while (rows % groups != 0) {
      groups--;
    }
    return groups;
  }

  private matmul.primitive_desc product(memory.desc left, memory.desc right, memory.desc result) {
    primitive_attr attr = PostOps.none(site).attr();
    matmul.primitive_desc found = OneDnn.ask(() -> new matmul.primitive_desc(new matmul.desc(left, right, result), attr, OneDnn.cpu()));
    return found == null ? null : site.session().own(found);
  }

  /**
   * Binds a matrix.
   *
   * @param context gives memory
   * @param x the matrix, whatever its shape
   * @param z where the sums go
   * @param factor what the sums are multiplied with
   * @return what computes them
   */
  Step step(OpContext context, INDArray x, INDArray z, float factor) {
    if (groups == rows) {
      return whole(context, x, z, factor);
    }
    memory.desc each = site.session().own(OneDnn.plain(groups, 1, rows / groups));
    INDArray parts = context.scratch(DataType.FLOAT, groups, columns);
    Step grouped =
        new Call(site.session(), first, new matmul(first))
            .arg(DNNL_ARG_SRC, site.weights().numbers("ones " + rows + " in " + groups, each, () -> filled(rows, 1)))
            .arg(DNNL_ARG_WEIGHTS, site.session().own(OneDnn.plain(groups, rows / groups, columns)), x)
            .arg(DNNL_ARG_DST, site.session().own(OneDnn.plain(groups, 1, columns)), parts)
            .scratch(context, first)
            .step();
    return new StepGroup(List.of(grouped, whole(context, parts, z, factor)), grouped.implementation());
  }

  private Step whole(OpContext context, INDArray parts, INDArray z, float factor) {
    memory.desc over = site.session().own(OneDnn.plain(1, groups));
    return new Call(site.session(), second, new matmul(second))
        .arg(DNNL_ARG_SRC, site.weights().numbers(factor + " times " + groups, over, () -> filled(groups, factor)))
        .arg(DNNL_ARG_WEIGHTS, site.session().own(OneDnn.plain(groups, columns)), parts)
        .arg(DNNL_ARG_DST, site.session().own(OneDnn.plain(1, columns)), z)
        .scratch(context, second)
        .step();
  }

  private static float[] filled(long count, float number) {
    float[] numbers = new float[Math.toIntExact(count)];
    Arrays.fill(numbers, number);
    return numbers;
  }
}
