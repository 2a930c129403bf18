package io.kbridge.plan.machine;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Where tiles of an image are, and which of their pixels there are. Not thread safe. */
public final class TileTable {
  private final int rows;
  private final int columns;
  private final List<long[]> tiles = new ArrayList<>();
  private final Map<List<Long>, Integer> masks = new LinkedHashMap<>();
  private Memory table;
  private Memory masksTable;

  /**
   * Starts without any.
   *
   * @param rows how many rows of pixels a tile has
   * @param columns how many columns
   */
  public TileTable(int rows, int columns) {
    this.rows = rows;
    this.columns = columns;
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
    Integer mask = whole ? Integer.valueOf(-1) : masks.computeIfAbsent(there, key -> masks.size());
    tiles.add(new long[] {address, mask});
    table = null;
  }

  int count() {
    return tiles.size();
  }

  /** Returns where code reads it; the object has to be referred to for as long. */
  Pointer address() {
    if (table == null) {
      lay();
    }
    return table;
  }

  private void lay() {
    long bytes = (long) rows * columns * Short.BYTES;
    masksTable = new Memory(Math.max(1, masks.size()) * bytes);
    masks.forEach((there, number) -> write(number * bytes, there));
    table = new Memory((long) tiles.size() * TileArguments.TILE_BYTES);
    for (int i = 0; i < tiles.size(); i++) {
      table.setLong((long) i * TileArguments.TILE_BYTES, tiles.get(i)[0]);
      long mask = tiles.get(i)[1];
      table.setLong((long) i * TileArguments.TILE_BYTES + Long.BYTES, mask < 0 ? 0 : Pointer.nativeValue(masksTable) + mask * bytes);
    }
  }

  private void write(long at, List<Long> there) {
    for (int i = 0; i < rows * columns; i++) {
      int row = i / columns;
      int column = i % columns;
      boolean isThere = row >= there.get(0) && row < there.get(1) && column >= there.get(2) && column < there.get(3);
      masksTable.setShort(at + (long) i * Short.BYTES, (short) (isThere ? -1 : 0));
    }
  }
}
