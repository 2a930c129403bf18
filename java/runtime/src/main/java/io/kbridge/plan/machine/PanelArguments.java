package io.kbridge.plan.machine;

/**
 * Where in memory {@link PanelCode} finds what it needs: numbers of 64 bits, at these offsets. At first what all threads have in common, then for each part the
 * panels and the blocks of rows that it computes.
 */
final class PanelArguments {
  // Of the whole: two functions of OpenMP, and how many parts there are.
  static final int THREAD_NUMBER = 0;
  static final int THREAD_COUNT = 8;
  static final int PARTS = 16;
  private static final int HEADER_BYTES = 64;

  /** From one part to the next: offsets of a part are those of the first one. */
  static final int PART_BYTES = 128;

  /** Of a part: how far what is added lies from the result. */
  static final int ADDED = HEADER_BYTES;
  private static final int FIRST_PANELS = ADDED + 8;
  private static final int PANELS_BYTES = 40;
  private static final int FIRST_BLOCKS = FIRST_PANELS + PanelShape.WIDTH * PANELS_BYTES;
  private static final int BLOCKS_BYTES = 16;

  // Of panels of one width, and of blocks of one size.
  static final int COUNT = 0;
  static final int START = 8;
  static final int RESULT = 16;
  static final int SHIFTS = 24;
  static final int NEXT = 32;

  /** How many bytes are said of one block: the address of its first row, and where its rows of the result begin. */
  static final int BLOCK_BYTES = 16;

  private PanelArguments() {}

  /** Returns the offset of something that is said of a part's panels of one width. */
  static int panels(int width, int field) {
    return FIRST_PANELS + (PanelShape.WIDTH - width) * PANELS_BYTES + field;
  }

  /** Returns the offset of something that is said of a part's blocks of one size. */
  static int blocks(int size, int field) {
    return FIRST_BLOCKS + size * BLOCKS_BYTES + field;
  }

  /** Returns how many bytes all arguments take. */
  static int bytes(int parts) {
    return HEADER_BYTES + parts * PART_BYTES;
  }
}
