package io.kbridge.plan.machine;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;

/**
 * One or several products of matrices by panels: code, and where everything lies. Threads share them out by panels or by blocks of rows; numbers do not depend on
 * that. Several products have the same shape, and lie one after the other. Not thread safe.
 */
public final class PanelProduct {
  private final PanelShape shape;
  private final PanelDivision division;
  private final MachineCode code;
  private final int count;
  private final Memory arguments;
  private final Memory table;
  private final Memory shifts;
  private long kernels;
  private long result;
  private long resultBytes;

  /**
   * Prepares products.
   *
   * @param shape what is computed
   * @param division who computes it
   * @param count how many products there are
   * @param shift what sums begin with, one number for each column
   */
  public PanelProduct(PanelShape shape, PanelDivision division, int count, float[] shift) {
    this.shape = shape;
    this.division = division;
    this.code = MachineCode.of(PanelCode.write(shape, division.lines(shape)));
    this.count = count;
    this.arguments = new Memory((long) count * division.parts() * PanelArguments.BYTES);
    this.table = new Memory((division.blocks() + 1L) * PanelArguments.BLOCK_BYTES);
    this.shifts = new Memory((long) shift.length * Float.BYTES);
    shifts.write(0, shift, 0, shift.length);
    for (int i = 0; i < division.blocks(); i++) {
      table.setLong((long) i * PanelArguments.BLOCK_BYTES, division.rowAt(i));
      table.setLong((long) i * PanelArguments.BLOCK_BYTES + Long.BYTES, division.resultAt(i));
    }
  }

  /**
   * Tells where everything but the second factors lies, before the first run.
   *
   * @param rows the address of the first factor
   * @param rowsBytes from there to that of the next product
   * @param added the address of what is added, if something is
   * @param resultAt that of the result
   * @param bytes from there to that of the next product
   */
  public void bind(long rows, long rowsBytes, long added, long resultAt, long bytes) {
    result = resultAt;
    resultBytes = bytes;
    // NB: behind the last block, what is asked for meanwhile: the first one of the next product.
    table.setLong((long) division.blocks() * PanelArguments.BLOCK_BYTES, rowsBytes);
    for (int i = 0; i < count; i++) {
      for (int part = 0; part < division.parts(); part++) {
        set(i, part, PanelArguments.ROWS, rows + i * rowsBytes);
        set(i, part, PanelArguments.ADDED, shape.adds() ? added - resultAt : 0);
        arguments.setFloat(at(i, part) + PanelArguments.MOST, shape.cut().most());
        for (int size = 0; size < shape.rows().length; size++) {
          set(i, part, PanelArguments.blocks(size, PanelArguments.COUNT), division.blockCount(part, size));
          long first = (long) division.firstBlock(part, size) * PanelArguments.BLOCK_BYTES;
          set(i, part, PanelArguments.blocks(size, PanelArguments.START), Pointer.nativeValue(table) + first);
        }
      }
    }
  }

  /**
   * Tells where the second factors lie, whenever they lie somewhere else than before.
   *
   * @param kernelsAt the address of the first one's first panel
   */
  public void place(long kernelsAt) {
    if (kernelsAt == kernels) {
      return;
    }
    kernels = kernelsAt;
    for (int i = 0; i < count; i++) {
      for (int part = 0; part < division.parts(); part++) {
        place(i, part);
      }
    }
  }

  private void place(int product, int part) {
    int column = division.firstVector(part);
    for (int width = PanelShape.WIDTH; width > 0; width--) {
      int panels = division.panelCount(part, width);
      set(product, part, PanelArguments.panels(width, PanelArguments.COUNT), panels);
      set(product, part, PanelArguments.panels(width, PanelArguments.START), panelAt(product, column));
      set(product, part, PanelArguments.panels(width, PanelArguments.RESULT), result + product * resultBytes + (long) column * shape.columnStep());
      long shift = Pointer.nativeValue(shifts) + (long) column * PanelShape.VECTOR * Float.BYTES;
      set(product, part, PanelArguments.panels(width, PanelArguments.SHIFTS), shift);
      column += panels * width;
      boolean last = column == division.endVector(part);
      boolean another = last && !division.goesOn(part);
      long next = panelAt(another ? product + 1 : product, last ? division.firstVector(part) : column);
      set(product, part, PanelArguments.panels(width, PanelArguments.NEXT), next);
    }
  }

  private long panelAt(int product, int column) {
    return kernels + ((long) product * division.vectors() + column) * shape.panelBytes(1);
  }

  /**
   * Adds the products to what threads do, to each thread's list what it computes.
   *
   * @param jobs the lists
   * @param thread whose list is that of the first thread
   */
  public void addTo(Jobs jobs, int thread) {
    for (int i = 0; i < count; i++) {
      for (int part = 0; part < division.parts(); part++) {
        jobs.add(thread + division.thread(part), code, arguments.share(at(i, part)), this);
      }
    }
  }

  private long at(int product, int part) {
    return ((long) product * division.parts() + part) * PanelArguments.BYTES;
  }

  private void set(int product, int part, int field, long value) {
    arguments.setLong(at(product, part) + field, value);
  }
}
