package io.kbridge.plan.machine;

/**
 * How tiles lie in memory, for Winograd's algorithm: 16 channels of a pixel lie one behind the other, wherever pixels are. All distances are in bytes. Immutable.
 */
public final class TileShape {
  private final TileAxis down;
  private final TileAxis across;
  private final int rowStep;
  private final int pixelStep;
  private final int groupStep;
  private final int positionStep;
  private final int tiles;

  /**
   * Describes tiles of an image, or of a result.
   *
   * @param down the axis along the height
   * @param across the axis along the width
   * @param rowStep from one row of pixels to the next
   * @param pixelStep from one pixel to the next
   * @param groupStep from 16 channels of a pixel to the next 16
   * @param positionStep from one position of transformed tiles to the next
   * @param tiles how many tiles lie one behind the other, for each group of 16 channels
   */
  public TileShape(TileAxis down, TileAxis across, int rowStep, int pixelStep, int groupStep, int positionStep, int tiles) {
    this.down = down;
    this.across = across;
    this.rowStep = rowStep;
    this.pixelStep = pixelStep;
    this.groupStep = groupStep;
    this.positionStep = positionStep;
    this.tiles = tiles;
  }

  TileAxis down() {
    return down;
  }

  TileAxis across() {
    return across;
  }

  int pixel(int row, int column) {
    return row * rowStep + column * pixelStep;
  }

  int groupStep() {
    return groupStep;
  }

  /** Returns where a position of a tile's transform is. */
  int position(int row, int column) {
    return (row * across.span() + column) * positionStep;
  }

  /** Returns how far the next group's tiles are. */
  int tilesStep() {
    return tiles * PanelShape.VECTOR * Float.BYTES;
  }
}
