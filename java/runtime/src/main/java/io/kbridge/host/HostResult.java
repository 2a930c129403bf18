package io.kbridge.host;

import io.kbridge.graph.ElementType;
import io.kbridge.plan.NativeArrays;
import java.util.Collection;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Arrays that a call gave, in memory of this JVM that stays until {@link #close}, also after the model is closed. */
public final class HostResult implements AutoCloseable {
  private final INDArray[] arrays;

  HostResult(Collection<INDArray> given) {
    arrays = new INDArray[given.size()];
    int i = 0;
    for (INDArray array : given) {
      arrays[i++] = contiguous(array);
    }
  }

  /**
   * Tells where the arrays lie: for each, the address of its first element, its element type (the ordinal of an
   * {@link ElementType}), its rank, and its sizes.
   *
   * @return these numbers, one array after the other; the address is 0 for an array without elements
   */
  public long[] layout() {
    int length = 0;
    for (INDArray array : arrays) {
      length += 3 + array.rank();
    }
    long[] layout = new long[length];
    int at = 0;
    for (INDArray array : arrays) {
      layout[at++] = array.isEmpty() ? 0 : NativeArrays.address(array);
      layout[at++] = ElementType.of(array.dataType()).ordinal();
      layout[at++] = array.rank();
      for (long size : array.shape()) {
        layout[at++] = size;
      }
    }
    return layout;
  }

  /** Frees the memory. May be called again. */
  @Override
  public void close() {
    for (INDArray array : arrays) {
      if (!array.wasClosed() && array.closeable()) {
        array.close();
      }
    }
  }

  private static INDArray contiguous(INDArray array) {
    return array.isEmpty() || NativeArrays.isDense(array) ? array : array.dup('c');
  }
}
