package io.kbridge.plan.machine;

/**
 * What a product of matrices looks like whose second factor is cut into panels of 32 columns: how rows, channels and columns lie in memory, and what is
 * done with sums. Rows are computed in blocks of two sizes at most. All distances are in bytes. Immutable.
 */
public final class PanelShape {
  /** How many numbers a vector has; channels come in such groups. */
  public static final int VECTOR = 16;
  /** How many vectors of columns a panel has; the last one may have one. */
  public static final int WIDTH = 2;
  /** How many rows a block has at most: their sums fit into registers, beside what they are computed from. */
  public static final int MOST_ROWS = 14;

  private final int groups;
  private final int groupStride;
  private final int[][] rows;
  private final int rowStep;
  private final int columnStep;
  private final boolean adds;
  private final Cut cut;
  private final boolean halfFactors;
  private final boolean halfResult;

  /**
   * Describes a product.
   *
   * @param groups how many groups of 16 channels a row has
   * @param groupStride from one group of a row to the next
   * @param rows for each size of a block: where its rows begin, from its first one
   * @param rowStep from one row of the result to the next
   * @param columnStep from 16 columns of the result to the next 16
   * @param adds whether numbers are added that lie as the result does
   * @param cut which sums become others
   * @param halfFactors whether both factors are bfloat16 numbers, the second one in pairs of channels; sums are float32 all the same
   * @param halfResult whether the result, and what is added, are bfloat16 numbers
   */
  public PanelShape(
      int groups, int groupStride, int[][] rows, int rowStep, int columnStep, boolean adds, Cut cut, boolean halfFactors, boolean halfResult) {
    this.groups = groups;
    this.groupStride = groupStride;
    this.rows = rows;
    this.rowStep = rowStep;
    this.columnStep = columnStep;
    this.adds = adds;
    this.cut = cut;
    this.halfFactors = halfFactors;
    this.halfResult = halfResult;
  }

  int groups() {
    return groups;
  }

  int groupStride() {
    return groupStride;
  }

  int[][] rows() {
    return rows;
  }

  int rowStep() {
    return rowStep;
  }

  int columnStep() {
    return columnStep;
  }

  boolean adds() {
    return adds;
  }

  Cut cut() {
    return cut;
  }

  boolean halfFactors() {
    return halfFactors;
  }

  boolean halfResult() {
    return halfResult;
  }

  /** Returns how many vectors of each 16 columns there are for a group of channels. */
  int vectorsOfGroup() {
    return halfFactors ? VECTOR / 2 : VECTOR;
  }

  /** Returns how many bytes a panel takes that has so many vectors of columns. */
  int panelBytes(int width) {
    return groups * vectorsOfGroup() * width * VECTOR * Float.BYTES;
  }
}
