package io.kbridge.train.optimizer;

import java.util.Objects;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The gradient of a weight of which only some rows were read, such as an embedding's: one row of numbers for each reading. Keras with TensorFlow
 * keeps such a gradient so ({@code IndexedSlices}), and where an optimizer squares gradients, a row that was read twice counts with two squares,
 * not with the square of their sum.
 */
public final class RowGradient {
  private final INDArray indices;
  private final INDArray rows;

  /**
   * Makes a gradient.
   *
   * @param indices which row of the weight each reading was of; rank 1, int32 or int64
   * @param rows the gradient of each reading; float32, dense, one row each, as long as the weight's rows
   */
  public RowGradient(INDArray indices, INDArray rows) {
    this.indices = Objects.requireNonNull(indices, "indices");
    this.rows = Objects.requireNonNull(rows, "rows");
  }

  /**
   * Returns which rows were read.
   *
   * @return the indices
   */
  public INDArray indices() {
    return indices;
  }

  /**
   * Returns the gradient of each reading.
   *
   * @return the rows
   */
  public INDArray rows() {
    return rows;
  }
}
