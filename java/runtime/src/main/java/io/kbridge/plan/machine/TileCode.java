package io.kbridge.plan.machine;

import static io.kbridge.plan.machine.Assembler.R12;
import static io.kbridge.plan.machine.Assembler.R13;
import static io.kbridge.plan.machine.Assembler.R14;
import static io.kbridge.plan.machine.Assembler.R15;
import static io.kbridge.plan.machine.Assembler.R8;
import static io.kbridge.plan.machine.Assembler.R9;
import static io.kbridge.plan.machine.Assembler.RBP;
import static io.kbridge.plan.machine.Assembler.RBX;
import static io.kbridge.plan.machine.Assembler.RCX;
import static io.kbridge.plan.machine.Assembler.RDI;
import static io.kbridge.plan.machine.Assembler.RDX;
import static io.kbridge.plan.machine.Assembler.RSI;
import static io.kbridge.plan.machine.Assembler.RSP;

/**
 * Writes the code of the transforms of Winograd's algorithm, for some tiles and some groups of 16 channels: each tile is transformed along one axis, then along the
 * other one, in registers and in a few vectors on the stack. Of tiles at the edges of an image masks say which pixels there are.
 *
 * <p>The function's argument is the address of what {@link TileArguments} names.
 */
final class TileCode {
  private static final int LINE = 64;
  private static final int MASK = 1;
  // Registers of vectors.
  private static final int LARGEST = 29;
  private static final int SHIFT = 30;
  private static final int ZERO = 31;
  // What general registers hold.
  private static final int ARGUMENTS = RBX;
  private static final int TILE = R14;
  private static final int TILES_LEFT = R12;
  private static final int FIRST_GROUP = R13;
  private static final int FIRST_SPREAD = R15;
  private static final int GROUPS_LEFT = RCX;
  private static final int MASKS = RDX;
  private static final int PIXELS = RSI;
  private static final int SPREAD = R8;
  private static final int SHIFTS = R9;
  private static final int[] SAVED = {RBX, RBP, R12, R13, R14, R15};

  private final TileShape shape;
  private final int pool;
  private final Cut cut;
  private final boolean ofResult;
  private final Constants constants = new Constants(TileArguments.CONSTANTS);
  private final Assembler code = new Assembler();

  private TileCode(TileShape shape, boolean ofResult, int pool, Cut cut) {
    this.shape = shape;
    this.ofResult = ofResult;
    this.pool = pool;
    this.cut = cut;
  }

  /** Takes the code that transforms an image. */
  static TileCode ofImage(TileShape shape) {
    return new TileCode(shape, false, 1, Cut.NONE);
  }

  /**
   * Takes the code that transforms products to the result.
   *
   * @param shape how they lie
   * @param pool how many rows and columns a window of a pooling for the largest has; 1 without one
   * @param cut which sums become others
   */
  static TileCode ofResult(TileShape shape, int pool, Cut cut) {
    return new TileCode(shape, true, pool, cut);
  }

  /** Returns the numbers that the code reads; known when it has been written. */
  Constants constants() {
    return constants;
  }

  /** Writes the code. */
  byte[] write() {
    for (int register : SAVED) {
      code.push(register);
    }
    code.move(RBP, RSP);
    code.add(RSP, -(shape.down().span() * shape.across().span() + shape.across().side()) * LINE);
    code.alignDown(RSP);
    code.move(ARGUMENTS, RDI);
    code.read(TILE, ARGUMENTS, TileArguments.TILES);
    code.read(TILES_LEFT, ARGUMENTS, TileArguments.COUNT);
    code.read(FIRST_GROUP, ARGUMENTS, TileArguments.FIRST_GROUP);
    code.read(FIRST_SPREAD, ARGUMENTS, TileArguments.SPREAD);
    Assembler.Label tile = code.here();
    tile();
    code.add(FIRST_SPREAD, LINE);
    code.add(TILE, TileArguments.TILE_BYTES);
    code.decrement(TILES_LEFT);
    code.jumpUnlessEqual(tile);
    code.leaveVectors();
    code.move(RSP, RBP);
    for (int i = SAVED.length - 1; i >= 0; i--) {
      code.pop(SAVED[i]);
    }
    code.giveBack();
    return code.code();
  }

  private void tile() {
    Assembler.Label edge = new Assembler.Label();
    Assembler.Label done = new Assembler.Label();
    code.read(PIXELS, TILE, 0);
    code.read(MASKS, TILE, Long.BYTES);
    code.addRegister(PIXELS, FIRST_GROUP);
    code.move(SPREAD, FIRST_SPREAD);
    code.read(GROUPS_LEFT, ARGUMENTS, TileArguments.GROUPS);
    if (ofResult) {
      code.read(SHIFTS, ARGUMENTS, TileArguments.SHIFTS);
    }
    code.compare(MASKS, 0);
    code.jumpUnlessEqual(edge);
    groups(false);
    code.jump(done);
    code.place(edge);
    groups(true);
    code.place(done);
  }

  private void groups(boolean masked) {
    Assembler.Label group = code.here();
    if (ofResult) {
      result(masked);
      code.add(SHIFTS, LINE);
    } else {
      image(masked);
    }
    code.add(PIXELS, shape.groupStep());
    code.add(SPREAD, shape.tilesStep());
    code.decrement(GROUPS_LEFT);
    code.jumpUnlessEqual(group);
  }

  // ---- Images ----

  private void image(boolean masked) {
    TileAxis down = shape.down();
    TileAxis across = shape.across();
    for (int column = 0; column < across.span(); column++) {
      int at = column;
      for (int row = 0; row < down.span(); row++) {
        readPixel(row, row, column, masked);
      }
      down.image(code, ARGUMENTS, constants, (place, register) -> code.store(RSP, kept(place, at), register));
    }
    for (int row = 0; row < down.span(); row++) {
      int at = row;
      for (int column = 0; column < across.span(); column++) {
        code.load(column, RSP, kept(row, column));
      }
      across.image(code, ARGUMENTS, constants, (place, register) -> code.store(SPREAD, shape.position(at, place), register));
    }
  }

  private void readPixel(int register, int row, int column, boolean masked) {
    if (masked) {
      code.readMask(MASK, MASKS, (row * shape.across().span() + column) * Short.BYTES);
      code.loadIf(MASK, register, PIXELS, shape.pixel(row, column));
    } else {
      code.load(register, PIXELS, shape.pixel(row, column));
    }
  }

  /** Returns the place on the stack of a number that has been transformed along the height. */
  private int kept(int row, int column) {
    return (row * shape.across().span() + column) * LINE;
  }

  // ---- Results ----

  private void result(boolean masked) {
    TileAxis down = shape.down();
    TileAxis across = shape.across();
    code.load(SHIFT, SHIFTS, 0);
    if (cut.belowZero()) {
      code.zero(ZERO);
    }
    for (int column = 0; column < across.span(); column++) {
      int at = column;
      for (int row = 0; row < down.span(); row++) {
        code.load(row, SPREAD, shape.position(row, column));
      }
      down.result(code, ARGUMENTS, constants, (place, register) -> code.store(RSP, kept(place, at), register));
    }
    for (int row = 0; row < down.side(); row++) {
      int at = row;
      for (int column = 0; column < across.span(); column++) {
        code.load(column, RSP, kept(row, column));
      }
      across.result(code, ARGUMENTS, constants, (place, register) -> finish(at, place, register, masked));
    }
  }

  private void finish(int row, int column, int register, boolean masked) {
    code.sum(register, register, SHIFT);
    if (cut.belowZero()) {
      code.max(register, register, ZERO);
    }
    if (cut.above()) {
      code.atMost(register, ARGUMENTS, TileArguments.MOST);
    }
    if (pool == 1) {
      writePixel(row, column, register, masked);
      return;
    }
    // NB: the largest of a window so far is kept on the stack, one for each column of windows.
    int window = (shape.down().span() * shape.across().span() + column / pool) * LINE;
    if (row % pool > 0 || column % pool > 0) {
      code.load(LARGEST, RSP, window);
      code.max(register, register, LARGEST);
    }
    if (row % pool == pool - 1 && column % pool == pool - 1) {
      writePixel(row / pool, column / pool, register, masked);
    } else {
      code.store(RSP, window, register);
    }
  }

  private void writePixel(int row, int column, int register, boolean masked) {
    if (masked) {
      code.readMask(MASK, MASKS, (row * (shape.across().side() / pool) + column) * Short.BYTES);
      code.storeIf(MASK, PIXELS, shape.pixel(row, column), register);
    } else {
      code.store(PIXELS, shape.pixel(row, column), register);
    }
  }
}
