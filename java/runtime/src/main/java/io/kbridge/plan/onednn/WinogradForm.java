package io.kbridge.plan.onednn;

/** The forms of Winograd's algorithm that there is code for: what is done along both axes of an image, and for how many tiles. */
enum WinogradForm {
  /** Results of 4x4 from tiles of 6x6: the fewest products. With fewer tiles than that, to read kernels is what takes the time, and the memory. */
  FOUR_BY_THREE(WinogradAxis.FOUR_BY_THREE, WinogradAxis.FOUR_BY_THREE, 12, Integer.MAX_VALUE),

  /** Results of 2x2 from tiles of 4x4: kernels of half the size, and less of a small image's tiles lies beyond its edges. For few tiles. */
  TWO_BY_THREE(WinogradAxis.TWO_BY_THREE, WinogradAxis.TWO_BY_THREE, 1, 64),

  /** Results of 2x2 from tiles of 6x6, for larger kernels. */
  TWO_BY_FIVE(WinogradAxis.TWO_BY_FIVE, WinogradAxis.TWO_BY_FIVE, 1, Integer.MAX_VALUE),

  /** Four results in a row from six numbers, for kernels of one row. */
  ROW_OF_THREE(WinogradAxis.NONE, WinogradAxis.FOUR_BY_THREE, 16, Integer.MAX_VALUE),

  /** The same for kernels of one column. */
  COLUMN_OF_THREE(WinogradAxis.FOUR_BY_THREE, WinogradAxis.NONE, 16, Integer.MAX_VALUE),

  /** Three results in a row from nine numbers, for longer kernels of one row. */
  ROW_OF_SEVEN(WinogradAxis.NONE, WinogradAxis.THREE_BY_SEVEN, 16, Integer.MAX_VALUE),

  /** The same for kernels of one column. */
  COLUMN_OF_SEVEN(WinogradAxis.THREE_BY_SEVEN, WinogradAxis.NONE, 16, Integer.MAX_VALUE);

  private final WinogradAxis down;
  private final WinogradAxis across;
  private final int fewest;
  private final int most;

  WinogradForm(WinogradAxis down, WinogradAxis across, int fewest, int most) {
    this.down = down;
    this.across = across;
    this.fewest = fewest;
    this.most = most;
  }

  /** Tells whether it is for kernels of a size. */
  boolean fits(long[] sizes) {
    return sizes.length == 2 && sizes[0] == down.kernel() && sizes[1] == across.kernel();
  }

  /** Tells whether it may be the fastest way for so many tiles. */
  boolean isPlausible(int tiles) {
    return tiles >= fewest && tiles <= most;
  }

  /** Returns what is done along the height. */
  WinogradAxis down() {
    return down;
  }

  /** Returns what is done along the width. */
  WinogradAxis across() {
    return across;
  }

  /** Returns how many products of matrices there are, one for each number that a tile is computed from. */
  int positions() {
    return down.span() * across.span();
  }

  @Override
  public String toString() {
    WinogradAxis longer = down == WinogradAxis.NONE ? across : down;
    return "Winograd " + longer.side() + "x" + longer.kernel() + (down == across ? "" : longer == down ? " down" : " across");
  }
}
