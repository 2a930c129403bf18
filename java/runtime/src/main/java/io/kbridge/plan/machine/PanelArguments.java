package io.kbridge.plan.machine;

/** What {@link PanelCode} is called with: numbers of 64 bits in memory, at these offsets. */
final class PanelArguments {
  /** The address of the first factor. */
  static final int ROWS = 0;
  /** How far what is added lies from the result. */
  static final int ADDED = 8;
  /** What the result is at most, a float32. */
  static final int MOST = 16;

  private static final int FIRST_PANELS = 24;
  private static final int PANELS_BYTES = 40;
  private static final int FIRST_BLOCKS = FIRST_PANELS + PanelShape.WIDTH * PANELS_BYTES;
  private static final int BLOCKS_BYTES = 16;

  // Of panels of one width, and of blocks of one size: how many, and where the first of them is.
  static final int COUNT = 0;
  static final int START = 8;
  // Of panels of one width: their columns of the result, what sums begin with, and what is read behind the last one.
  static final int RESULT = 16;
  static final int SHIFTS = 24;
  static final int NEXT = 32;

  /** How many bytes all of it takes. */
  static final int BYTES = FIRST_BLOCKS + 2 * BLOCKS_BYTES;

  /** How many bytes are said of one block: where its rows begin, from the first one, and its rows of the result. */
  static final int BLOCK_BYTES = 16;

  private PanelArguments() {}

  /** Returns the offset of something that is said of panels of one width. */
  static int panels(int width, int field) {
    return FIRST_PANELS + (PanelShape.WIDTH - width) * PANELS_BYTES + field;
  }

  /** Returns the offset of something that is said of blocks of one size. */
  static int blocks(int size, int field) {
    return FIRST_BLOCKS + size * BLOCKS_BYTES + field;
  }
}
