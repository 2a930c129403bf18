package io.kbridge.plan.machine;

import static io.kbridge.plan.machine.Assembler.R10;
import static io.kbridge.plan.machine.Assembler.R11;
import static io.kbridge.plan.machine.Assembler.R12;
import static io.kbridge.plan.machine.Assembler.R13;
import static io.kbridge.plan.machine.Assembler.R14;
import static io.kbridge.plan.machine.Assembler.R15;
import static io.kbridge.plan.machine.Assembler.R8;
import static io.kbridge.plan.machine.Assembler.R9;
import static io.kbridge.plan.machine.Assembler.RAX;
import static io.kbridge.plan.machine.Assembler.RBP;
import static io.kbridge.plan.machine.Assembler.RBX;
import static io.kbridge.plan.machine.Assembler.RCX;
import static io.kbridge.plan.machine.Assembler.RDI;
import static io.kbridge.plan.machine.Assembler.RDX;
import static io.kbridge.plan.machine.Assembler.RSI;
import static io.kbridge.plan.machine.Assembler.RSP;

/**
 * Writes the code of a product by panels, of float32 or bfloat16 numbers. For each panel, and for each block of rows, sums of {@link
 * PanelShape#MOST_ROWS} rows by 32 columns stay in 28 registers, for 32 channels at a time. Meanwhile the next panel is asked for: a product whose
 * second factor comes from memory then takes hardly longer than one that has it in the caches, where oneDNN's code first reads a panel and then
 * computes.
 *
 * <p>The function's argument is the address of {@link PanelArguments}.
 */
final class PanelCode {
  private static final int LINE = 64;
  // NB: so many groups of channels are added up before they are added to others. With 256 channels rounding errors are half of those of one long sum, in no
  // more time; one group would take VGG16 3 to 5 % longer, and leave errors a sixth smaller.
  private static final int CHUNK = 2;
  // On the stack: sums of chunks, and where it was before.
  private static final int STACK_BEFORE = PanelShape.MOST_ROWS * PanelShape.WIDTH * LINE;
  private static final int STACK = STACK_BEFORE + 2 * LINE;
  // Registers of vectors: sums first.
  private static final int FACTOR = 28;
  private static final int NUMBER = 30;
  private static final int ZERO = 31;
  // What general registers hold.
  private static final int ARGUMENTS = RBX;
  private static final int FIRST_ROW = R13;
  private static final int PANEL = R8;
  private static final int RESULT_COLUMN = R9;
  private static final int SHIFTS = R10;
  private static final int PANELS_LEFT = R11;
  private static final int GROUPS_LEFT = R12;
  private static final int CHUNKS_LEFT = R14;
  private static final int AHEAD = RBP;
  private static final int ADDED = R15;
  private static final int BLOCK = RSI;
  private static final int BLOCKS_LEFT = RDI;
  private static final int ROWS = RAX;
  private static final int COLUMNS = RCX;
  // NB: one register: where the next block's rows are, until all channels are done.
  private static final int NEXT_ROWS = RDX;
  private static final int RESULT = RDX;
  private static final int[] SAVED = {RBX, RBP, R12, R13, R14, R15};

  private final PanelShape shape;
  private final int lines;
  private final Assembler code = new Assembler();

  private PanelCode(PanelShape shape, int lines) {
    this.shape = shape;
    this.lines = lines;
  }

  /**
   * Writes the code.
   *
   * @param shape what is computed
   * @param lines how many lines of 64 bytes of the next panel are asked for with each group of channels of each block
   * @return the code
   */
  static byte[] write(PanelShape shape, int lines) {
    return new PanelCode(shape, lines).write();
  }

  private byte[] write() {
    for (int register : SAVED) {
      code.push(register);
    }
    code.move(RAX, RSP);
    code.add(RSP, -STACK);
    code.alignDown(RSP);
    code.write(RSP, STACK_BEFORE, RAX);
    code.move(ARGUMENTS, RDI);
    code.read(FIRST_ROW, ARGUMENTS, PanelArguments.ROWS);
    code.read(ADDED, ARGUMENTS, PanelArguments.ADDED);
    for (int width = PanelShape.WIDTH; width > 0; width--) {
      Assembler.Label none = new Assembler.Label();
      code.read(PANELS_LEFT, ARGUMENTS, PanelArguments.panels(width, PanelArguments.COUNT));
      code.compare(PANELS_LEFT, 0);
      code.jumpIfEqual(none);
      code.read(PANEL, ARGUMENTS, PanelArguments.panels(width, PanelArguments.START));
      code.read(RESULT_COLUMN, ARGUMENTS, PanelArguments.panels(width, PanelArguments.RESULT));
      code.read(SHIFTS, ARGUMENTS, PanelArguments.panels(width, PanelArguments.SHIFTS));
      panels(width);
      code.place(none);
    }
    code.leaveVectors();
    code.read(RSP, RSP, STACK_BEFORE);
    for (int i = SAVED.length - 1; i >= 0; i--) {
      code.pop(SAVED[i]);
    }
    code.giveBack();
    return code.code();
  }

  private void panels(int width) {
    Assembler.Label panel = code.here();
    Assembler.Label notLast = new Assembler.Label();
    code.move(AHEAD, PANEL);
    code.add(AHEAD, shape.panelBytes(width));
    code.compare(PANELS_LEFT, 1);
    code.jumpUnlessEqual(notLast);
    code.read(AHEAD, ARGUMENTS, PanelArguments.panels(width, PanelArguments.NEXT));
    code.place(notLast);
    for (int size = 0; size < shape.rows().length; size++) {
      Assembler.Label none = new Assembler.Label();
      code.read(BLOCKS_LEFT, ARGUMENTS, PanelArguments.blocks(size, PanelArguments.COUNT));
      code.compare(BLOCKS_LEFT, 0);
      code.jumpIfEqual(none);
      code.read(BLOCK, ARGUMENTS, PanelArguments.blocks(size, PanelArguments.START));
      Assembler.Label block = code.here();
      block(width, shape.rows()[size]);
      code.add(BLOCK, PanelArguments.BLOCK_BYTES);
      code.decrement(BLOCKS_LEFT);
      code.jumpUnlessEqual(block);
      code.place(none);
    }
    code.add(PANEL, shape.panelBytes(width));
    code.add(RESULT_COLUMN, width * shape.columnStep());
    code.add(SHIFTS, width * LINE);
    code.decrement(PANELS_LEFT);
    code.jumpUnlessEqual(panel);
  }

  /** Computes one block of rows of one panel. */
  private void block(int width, int[] rows) {
    code.read(ROWS, BLOCK, 0);
    code.addRegister(ROWS, FIRST_ROW);
    code.read(NEXT_ROWS, BLOCK, PanelArguments.BLOCK_BYTES);
    code.addRegister(NEXT_ROWS, FIRST_ROW);
    code.move(COLUMNS, PANEL);
    sums(width, rows);
    finish(width, rows.length);
  }

  /** Adds up all channels: those of a chunk in registers, chunks on the stack. */
  private void sums(int width, int[] rows) {
    int count = rows.length * width;
    // NB: bfloat16 numbers have errors that no order of sums makes smaller.
    int chunk = shape.halfFactors() ? shape.groups() : CHUNK;
    int chunks = (shape.groups() + chunk - 1) / chunk;
    for (int i = 0; i < count; i++) {
      code.load(i, SHIFTS, i % width * LINE);
    }
    code.set(GROUPS_LEFT, shape.groups() - (chunks - 1) * chunk);
    if (chunks == 1) {
      groups(width, rows);
      return;
    }
    Assembler.Label done = new Assembler.Label();
    code.set(CHUNKS_LEFT, chunks);
    Assembler.Label next = code.here();
    for (int i = 0; i < count; i++) {
      code.store(RSP, i * LINE, i);
      code.zero(i);
    }
    groups(width, rows);
    for (int i = 0; i < count; i++) {
      code.add(i, RSP, i * LINE);
    }
    code.decrement(CHUNKS_LEFT);
    code.jumpIfEqual(done);
    code.set(GROUPS_LEFT, chunk);
    code.jump(next);
    code.place(done);
  }

  /** Adds some groups of channels. */
  private void groups(int width, int[] rows) {
    Assembler.Label group = code.here();
    for (int step = 0; step < shape.vectorsOfGroup(); step++) {
      step(step, width, rows);
    }
    code.add(ROWS, shape.groupStride());
    code.add(NEXT_ROWS, shape.groupStride());
    code.add(COLUMNS, shape.vectorsOfGroup() * width * LINE);
    if (lines > 0) {
      code.add(AHEAD, lines * LINE);
    }
    code.decrement(GROUPS_LEFT);
    code.jumpUnlessEqual(group);
  }

  /** Adds the products of one channel, or of a pair of bfloat16 ones, and asks for a part of what is read later. */
  private void step(int step, int width, int[] rows) {
    for (int i = 0; i < width; i++) {
      code.load(FACTOR + i, COLUMNS, (step * width + i) * LINE);
    }
    for (int line = share(lines, step); line < share(lines, step + 1); line++) {
      code.prefetch(AHEAD, line * LINE);
    }
    for (int row = share(rows.length, step); row < share(rows.length, step + 1); row++) {
      code.prefetch(NEXT_ROWS, rows[row]);
    }
    for (int row = 0; row < rows.length; row++) {
      int number = NUMBER + row % 2;
      code.broadcast(number, ROWS, rows[row] + step * Float.BYTES);
      for (int i = 0; i < width; i++) {
        multiply(row * width + i, number, FACTOR + i);
      }
    }
  }

  private int share(int all, int step) {
    return all * step / shape.vectorsOfGroup();
  }

  private void multiply(int sum, int number, int factor) {
    if (shape.halfFactors()) {
      code.addPairs(sum, number, factor);
    } else {
      code.addProduct(sum, number, factor);
    }
  }

  /** Does what is left to do with the sums, and writes them. */
  private void finish(int width, int rows) {
    code.read(RESULT, BLOCK, Long.BYTES);
    code.addRegister(RESULT, RESULT_COLUMN);
    if (shape.adds()) {
      code.move(RAX, RESULT);
      code.addRegister(RAX, ADDED);
    }
    if (shape.cut().belowZero()) {
      code.zero(ZERO);
    }
    for (int i = 0; i < rows * width; i++) {
      write(i, i / width * shape.rowStep() + i % width * shape.columnStep());
    }
  }

  private void write(int sum, int offset) {
    if (shape.adds() && shape.halfResult()) {
      code.loadHalf(NUMBER, RAX, offset);
      code.sum(sum, sum, NUMBER);
    } else if (shape.adds()) {
      code.add(sum, RAX, offset);
    }
    if (shape.cut().belowZero()) {
      code.max(sum, sum, ZERO);
    }
    if (shape.cut().above()) {
      code.atMost(sum, ARGUMENTS, PanelArguments.MOST);
    }
    if (shape.halfResult()) {
      code.storeHalf(RESULT, offset, sum);
    } else {
      code.store(RESULT, offset, sum);
    }
  }
}
