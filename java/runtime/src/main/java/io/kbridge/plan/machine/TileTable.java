package io.kbridge.plan.machine;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Where tiles of an image are, and which of their pixels there are. Not thread safe. */
public final class TileTable {
  private final int rows;
  private final int columns;
  private final Memory table;
  // NB: tiles with the same pixels have the same ones.
  private final Map<List<Long>, Memory> masks = new HashMap<>();
  private int count;

  /**
   * Starts without any.
   *
   * @param rows how many rows of pixels a tile has
   * @param columns how many columns
   * @param most how many tiles will be added, at least one
   */
  public TileTable(int rows, int columns, int most) {
    this.rows = rows;
    this.columns = columns;
    this.table = new Memory((long) most * TileArguments.TILE_BYTES);
  }

  /**
   * Adds a tile.
   *
   * @param address where its first pixel is, or would be
   * @param row the row of the image that its first one is; may be negative
   * @param column the column
   * @param height how many rows the image has
   * @param width how many columns
   */
  public void add(long address, long row, long column, long height, long width) {
    List<Long> there = List.of(Math.max(0, -row), Math.min(rows, height - row), Math.max(0, -column), Math.min(columns, width - column));
    boolean whole = there.equals(List.of(0L, (long) rows, 0L, (long) columns));
    long at = (long) count++ * TileArguments.TILE_BYTES;
    table.setLong(at, address);
    table.setLong(at + Long.BYTES, whole ? 0 : Pointer.nativeValue(masks.computeIfAbsent(there, this::mask)));
  }

  int count() {
    return count;
  }

  /** Returns where code reads it; the object has to be referred to for as long. */
  Pointer address() {
    return table;
  }

  private Memory mask(List<Long> there) {
    Memory mask = new Memory((long) rows * columns * Short.BYTES);
    for (int i = 0; i < rows * columns; i++) {
      int row = i / columns;
      int column = i % columns;
      boolean isThere = row >= there.get(0) && row < there.get(1) && column >= there.get(2) && column < there.get(3);
      mask.setShort((long) i * Short.BYTES, (short) (isThere ? -1 : 0));
    }
    return mask;
  }
}
