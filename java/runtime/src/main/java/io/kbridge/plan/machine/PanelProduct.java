package io.kbridge.plan.machine;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.kbridge.plan.Team;

/**
 * A product of matrices by panels, ready to run: code, and where everything lies. Threads share it out by panels or by blocks of rows. Numbers do not depend on
 * that. Not thread safe.
 */
public final class PanelProduct {
  private final PanelShape shape;
  private final PanelDivision division;
  private final MachineCode code;
  private final Memory arguments;
  private final Memory table;
  private Memory shifts;
  private long kernels;
  private long result;

  private PanelProduct(PanelShape shape, PanelDivision division, MachineCode code) {
    this.shape = shape;
    this.division = division;
    this.code = code;
    this.arguments = new Memory(PanelArguments.bytes(division.parts()));
    this.table = new Memory((long) division.blocks() * PanelArguments.BLOCK_BYTES);
    arguments.clear();
    arguments.setLong(PanelArguments.THREAD_NUMBER, Team.function("omp_get_thread_num"));
    arguments.setLong(PanelArguments.THREAD_COUNT, Team.function("omp_get_num_threads"));
    arguments.setLong(PanelArguments.PARTS, division.parts());
  }

  /**
   * Tells whether there can be code of ours.
   *
   * @return true on Linux on x86-64, where native code uses GNU's OpenMP; whether the processor has AVX-512 is not looked at
   */
  public static boolean isPossible() {
    return MachineCode.isPossible() && Team.isThere();
  }

  /**
   * Prepares a product.
   *
   * @param shape what is computed
   * @param division who computes it
   * @return the product, or null where the system does not let us have code of ours
   */
  public static PanelProduct of(PanelShape shape, PanelDivision division) {
    MachineCode code = MachineCode.of(PanelCode.write(shape, division.lines()));
    return code == null ? null : new PanelProduct(shape, division, code);
  }

  /**
   * Tells where everything but the second factor lies, before the first run.
   *
   * @param rows the address of the first factor
   * @param added that of what is added, if something is
   * @param shift what sums begin with, one number for each column
   * @param resultAt the address of the result
   */
  public void bind(long rows, long added, float[] shift, long resultAt) {
    shifts = new Memory((long) shift.length * Float.BYTES);
    shifts.write(0, shift, 0, shift.length);
    result = resultAt;
    for (int i = 0; i < division.blocks(); i++) {
      table.setLong((long) i * PanelArguments.BLOCK_BYTES, rows + division.rowAt(i));
      table.setLong((long) i * PanelArguments.BLOCK_BYTES + Long.BYTES, division.resultAt(i));
    }
    for (int part = 0; part < division.parts(); part++) {
      set(part, PanelArguments.ADDED, shape.adds() ? added - resultAt : 0);
      for (int size = 0; size < shape.rows().length; size++) {
        set(part, PanelArguments.blocks(size, PanelArguments.COUNT), division.blockCount(part, size));
        long first = (long) division.firstBlock(part, size) * PanelArguments.BLOCK_BYTES;
        set(part, PanelArguments.blocks(size, PanelArguments.START), Pointer.nativeValue(table) + first);
      }
    }
  }

  /**
   * Computes the result.
   *
   * @param kernelsAt the address of the second factor, one panel after the other
   */
  public void run(long kernelsAt) {
    if (kernelsAt != kernels) {
      place(kernelsAt);
    }
    Team.call(code.address(), Pointer.nativeValue(arguments), division.parts());
  }

  private void place(long kernelsAt) {
    kernels = kernelsAt;
    for (int part = 0; part < division.parts(); part++) {
      int column = division.firstVector(part);
      for (int width = PanelShape.WIDTH; width > 0; width--) {
        int count = division.panelCount(part, width);
        set(part, PanelArguments.panels(width, PanelArguments.COUNT), count);
        set(part, PanelArguments.panels(width, PanelArguments.START), kernelsAt + (long) column * shape.panelBytes(1));
        set(part, PanelArguments.panels(width, PanelArguments.RESULT), result + (long) column * shape.columnStep());
        set(part, PanelArguments.panels(width, PanelArguments.SHIFTS), Pointer.nativeValue(shifts) + (long) column * PanelShape.VECTOR * Float.BYTES);
        column += count * width;
        set(part, PanelArguments.panels(width, PanelArguments.NEXT), kernelsAt + (long) column * shape.panelBytes(1));
      }
    }
  }

  private void set(int part, int field, long value) {
    arguments.setLong((long) part * PanelArguments.PART_BYTES + field, value);
  }
}
