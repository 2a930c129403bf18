package io.kbridge.plan.onednn;

import org.nd4j.linalg.api.ndarray.INDArray;

/** Constant numbers in rows and columns: a weight, or part of one, without copying it. Immutable. */
final class Matrix {
  private final float[] numbers;
  private final int offset;
  private final int rows;
  private final int columns;
  private final int stride;

  private Matrix(float[] numbers, int offset, int rows, int columns, int stride) {
    this.numbers = numbers;
    this.offset = offset;
    this.rows = rows;
    this.columns = columns;
    this.stride = stride;
  }

  /** Reads an array of up to two axes; a vector is one row. Returns null for others. */
  static Matrix of(INDArray array) {
    if (!OneDnn.isFloat(array) || array.rank() > 2) {
      return null;
    }
    int columns = array.rank() == 0 ? 1 : (int) array.size(array.rank() - 1);
    return new Matrix(OneDnn.content(array), 0, (int) array.length() / columns, columns, columns);
  }

  /** Makes one row of one number. */
  static Matrix scalar(float number) {
    return new Matrix(new float[] {number}, 0, 1, 1, 1);
  }

  int rows() {
    return rows;
  }

  int columns() {
    return columns;
  }

  /** Returns some rows. */
  Matrix rows(int from, int to) {
    return new Matrix(numbers, offset + from * stride, to - from, columns, stride);
  }

  /** Returns some columns. */
  Matrix columns(int from, int to) {
    return new Matrix(numbers, offset + from, rows, to - from, stride);
  }

  /** Returns the first row, a single number as often as is asked for. */
  float[] row(int width) {
    float[] row = new float[width];
    for (int i = 0; i < width; i++) {
      row[i] = numbers[offset + (columns == 1 ? 0 : i)];
    }
    return row;
  }

  /** Copies all rows into some columns of a wider matrix, multiplied by a factor. */
  void copyTo(float[] target, int column, int width, float factor) {
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < columns; i++) {
        target[row * width + column + i] = factor * numbers[offset + row * stride + i];
      }
    }
  }

  /** Tells whether all numbers are finite. */
  boolean isFinite() {
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < columns; i++) {
        if (!Float.isFinite(numbers[offset + row * stride + i])) {
          return false;
        }
      }
    }
    return true;
  }
}
