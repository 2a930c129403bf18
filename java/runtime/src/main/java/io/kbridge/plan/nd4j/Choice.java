package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.bool.BooleanNot;
import org.nd4j.linalg.api.ops.impl.transforms.comparison.CompareAndReplace;
import org.nd4j.linalg.api.ops.impl.transforms.comparison.CompareAndSet;
import org.nd4j.linalg.indexing.conditions.Conditions;

/** Choosing between values, element by element. */
public final class Choice implements OpMappings {
  /** Makes the family; for the service loader. */
  public Choice() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Where", Choice::where);
  }

  private static Step where(OpContext context) {
    Kernel k = new Kernel(context);
    long[] shape =
        Shapes.broadcast(context.input(0).shape(), context.input(1).shape(), context.input(2).shape());
    INDArray z = context.allocate(0, shape);
    where(k, k.input(0, DataType.BOOL), k.input(1, z.dataType()), k.input(2, z.dataType()), z);
    return k.step();
  }

  /**
   * Adds {@code z = condition ? x : y}. Each side is put where its condition holds and 0 elsewhere, and the two are added, so that
   * infinities and NaNs of the side not chosen leave no trace. ND4J's {@code where} and {@code select} take a condition of rank 1 for
   * one of rows, and take 75 ns an element.
   *
   * @param k takes the calls
   * @param condition BOOL; broadcast to z
   * @param x where it holds; broadcast to z
   * @param y where it does not; broadcast to z
   * @param z the result; may be x or y
   */
  static void where(Kernel k, INDArray condition, INDArray x, INDArray y, INDArray z) {
    INDArray yes = expanded(k, condition, z);
    INDArray no = k.scratchLike(yes);
    not(k, yes, no);
    INDArray first = chosen(k, yes, expanded(k, x, z));
    INDArray second = chosen(k, no, expanded(k, y, z));
    k.binary(z.dataType() == DataType.BOOL ? "boolean_or" : "add", first, second, z);
  }

  private static INDArray chosen(Kernel k, INDArray condition, INDArray x) {
    INDArray z = k.scratchLike(x);
    if (x.dataType() == DataType.BOOL) {
      k.binary("boolean_and", condition, x, z);
      return z;
    }
    INDArray mask = k.as(condition, x.dataType());
    k.legacy(new CompareAndReplace(mask, x, z, Conditions.greaterThan(0.5)));
    return z;
  }

  /**
   * Returns an array broadcast to the shape of another.
   *
   * @param k takes the copy
   * @param x the array
   * @param like has the shape
   * @return x itself if it has the shape
   */
  static INDArray expanded(Kernel k, INDArray x, INDArray like) {
    if (Arrays.equals(x.shape(), like.shape())) {
      return x;
    }
    INDArray full = k.scratch(x.dataType(), like.shape());
    k.broadcast(x, full);
    return full;
  }

  /**
   * Adds {@code z = not x}.
   *
   * @param k takes the call
   * @param x BOOL
   * @param z BOOL
   */
  static void not(Kernel k, INDArray x, INDArray z) {
    k.legacy(new BooleanNot(x, z));
  }

  /**
   * Adds what makes z NaN wherever x is. Many of ND4J's operations drop NaN, none of Keras's does.
   *
   * @param k takes the calls
   * @param x read; broadcast to z
   * @param z changed in place
   */
  static void keepNaN(Kernel k, INDArray x, INDArray z) {
    k.legacy(new CompareAndSet(z, expanded(k, x, z), Conditions.isNan()));
  }
}
