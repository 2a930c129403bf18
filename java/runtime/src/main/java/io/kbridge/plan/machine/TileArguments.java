package io.kbridge.plan.machine;

/** What {@link TileCode} is called with: numbers of 64 bits in memory, at these offsets, and behind them the numbers that it multiplies with. */
final class TileArguments {
  /** Where the tiles are told, and how many. */
  static final int TILES = 0;
  static final int COUNT = 8;
  /** How many groups of 16 channels are transformed. */
  static final int GROUPS = 16;
  /** How far the first of them is from where tiles begin. */
  static final int FIRST_GROUP = 24;
  /** Where the first tile's transform is, of its first group. */
  static final int SPREAD = 32;
  /** Of results: what is added to the first group. */
  static final int SHIFTS = 40;

  /** What results are at most, a float32. */
  static final int MOST = 48;

  static final int CONSTANTS = 56;

  /** How many bytes are said of one tile: where its first pixel is, and where its masks are, if it has some. */
  static final int TILE_BYTES = 16;

  private TileArguments() {}
}
