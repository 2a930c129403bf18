package io.kbridge.plan;

import java.util.Arrays;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Memory that a value may be computed in, if it fits and nobody else needs what is there. */
final class Place {
  private final INDArray array;
  private final Arena.Block block;

  Place(INDArray array, Arena.Block block) {
    this.array = array;
    this.block = block;
  }

  /** Tells whether a value can lie here now. */
  boolean suits(DataType type, long... shape) {
    return !block.isShared() && array.dataType() == type && Arrays.equals(array.shape(), shape);
  }

  Value take(boolean constant) {
    block.retain();
    return new Value(array, block, constant);
  }
}
