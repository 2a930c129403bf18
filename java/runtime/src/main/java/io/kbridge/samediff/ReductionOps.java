package io.kbridge.samediff;

import static io.kbridge.samediff.Formulas.cast;
import static io.kbridge.samediff.Formulas.isFloat;
import static io.kbridge.samediff.Formulas.precise;
import static io.kbridge.samediff.Formulas.scalar;

import java.util.stream.IntStream;
import org.nd4j.autodiff.samediff.SDVariable;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.buffer.DataType;

/** Reductions over axes, which are never negative: with a negative one and {@code keepDims}, SameDiff gives wrong numbers. */
public final class ReductionOps implements SameDiffMappings {
  /** Makes the family; for the service loader. */
  public ReductionOps() {}

  /** Reduces x over axes. */
  @FunctionalInterface
  private interface Formula {
    SDVariable apply(SDVariable x, boolean keep, int... axes);
  }

  @Override
  public void register(SameDiffRegistry registry) {
    registry.op("Sum", over(SDVariable::sum));
    registry.op("Mean", over(SDVariable::mean));
    registry.op("Prod", over(ReductionOps::product));
    registry.op("Var", over(ReductionOps::variance));
    registry.op("Std", over((x, keep, axes) -> x.getSameDiff().math().sqrt(variance(x, keep, axes))));
    for (String name : new String[] {"Max", "Amax"}) {
      registry.op(name, node -> extremum(node, true));
    }
    for (String name : new String[] {"Min", "Amin"}) {
      registry.op(name, node -> extremum(node, false));
    }
    registry.op("Any", node -> truth(node, true));
    registry.op("All", node -> truth(node, false));
    registry.op("CountNonzero", node -> reduce(node, cast(cast(node.in(0), DataType.BOOL), node.type()), SDVariable::sum));
    registry.op("Logsumexp", over(ReductionOps::logSumExp));
    registry.op("Argmax", node -> position(node, true));
    registry.op("Argmin", node -> position(node, false));
    registry.op("Cumsum", ReductionOps::cumsum);
  }

  private static SameDiffMapping over(Formula formula) {
    return node -> reduce(node, node.in(0, precise(node.type())), formula);
  }

  /**
   * Axes of size 1 are not reduced but taken out: over those alone SameDiff's typed reductions fail, and one over no axes is one over all of them.
   */
  private static void reduce(SameDiffNode node, SDVariable x, Formula formula) {
    boolean keep = node.attrs().getBoolean("keepdims", false);
    int[] all = node.axes("axis");
    int[] axes = IntStream.of(all).filter(axis -> node.shape(0)[axis] != 1).toArray();
    if (axes.length > 0 && node.shape(0).length == 2 && IntStream.of(axes).allMatch(axis -> node.shape(0)[axis] < 0)) {
      // NB: over an axis that turns out to be of size 1, SameDiff's reductions of matrices fail; those of more axes do not.
      SDVariable found = formula.apply(x.getSameDiff().expandDims(x, 2), true, axes);
      node.give(LayoutOps.squeeze(found, keep ? new int[] {2} : IntStream.concat(IntStream.of(all), IntStream.of(2)).toArray()));
      return;
    }
    if (axes.length > 0) {
      // NB: with the axes kept, so that the numbers of the others stay.
      SDVariable found = formula.apply(x, keep || axes.length < all.length, axes);
      node.give(keep || axes.length == all.length ? found : LayoutOps.squeeze(found, all));
      return;
    }
    // Of one element alone, the variance and deviation are 0; everything else is the element.
    boolean spread = node.node().op().equals("Var") || node.node().op().equals("Std");
    SDVariable found = spread ? x.sub(x) : x;
    node.give(keep ? found : LayoutOps.squeeze(found, all));
  }

  private static SDVariable product(SDVariable x, boolean keep, int... axes) {
    if (!isFloat(x)) {
      throw new Refusal("products of integers");
    }
    return x.prod(keep, axes);
  }

  private static SDVariable variance(SDVariable x, boolean keep, int... axes) {
    SDVariable centred = x.sub(x.mean(true, axes));
    return centred.mul(centred).mean(keep, axes);
  }

  /** ND4J's drop NaN, so a NaN met anywhere on the axes is put back. */
  private static void extremum(SameDiffNode node, boolean largest) {
    if (node.attrs().has("initial")) {
      throw new Refusal("a start value");
    }
    SDVariable x = node.in(0).dataType() == DataType.BOOL ? node.in(0, DataType.INT32) : node.in(0);
    reduce(node, x, (v, keep, axes) -> extremum(v, largest, keep, axes));
  }

  static SDVariable extremum(SDVariable x, boolean largest, boolean keep, int... axes) {
    SDVariable found = largest ? x.max(keep, axes) : x.min(keep, axes);
    if (!isFloat(x)) {
      return found;
    }
    SDVariable some = cast(x.getSameDiff().math().isNaN(x), x.dataType()).max(keep, axes).gt(scalar(x, 0));
    return Formulas.where(some, scalar(x, Double.NaN), found);
  }

  private static void truth(SameDiffNode node, boolean any) {
    SDVariable ones = cast(cast(node.in(0), DataType.BOOL), DataType.INT32);
    reduce(node, ones, any ? SDVariable::max : SDVariable::min);
  }

  /** Shifted by the maximum where that is finite; SameDiff's overflows. */
  private static SDVariable logSumExp(SDVariable x, boolean keep, int... axes) {
    SameDiff sd = x.getSameDiff();
    SDVariable most = x.max(true, axes);
    SDVariable shift = Formulas.where(sd.math().isFinite(most), most, scalar(x, 0));
    SDVariable sum = sd.math().log(sd.math().exp(x.sub(shift)).sum(true, axes)).add(shift);
    return keep ? sum : LayoutOps.squeeze(sum, axes);
  }

  private static void position(SameDiffNode node, boolean largest) {
    SDVariable x = node.in(0).dataType() == DataType.BOOL ? node.in(0, DataType.INT32) : node.in(0);
    boolean keep = node.attrs().getBoolean("keepdims", false);
    int axis = node.attrs().getInt("axis");
    node.give(largest ? node.sd().argmax(x, keep, axis) : node.sd().argmin(x, keep, axis));
  }

  private static void cumsum(SameDiffNode node) {
    if (!node.type().isFPType()) {
      node.give(node.sd().cumsum(node.in(0, DataType.DOUBLE), false, false, node.axes("axis")));
    } else {
      node.give(node.sd().cumsum(node.in(0, precise(node.type())), false, false, node.axes("axis")));
    }
  }
}
