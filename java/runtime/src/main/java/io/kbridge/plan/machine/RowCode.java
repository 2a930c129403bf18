package io.kbridge.plan.machine;

import static io.kbridge.plan.machine.Assembler.R10;
import static io.kbridge.plan.machine.Assembler.R11;
import static io.kbridge.plan.machine.Assembler.R8;
import static io.kbridge.plan.machine.Assembler.R9;
import static io.kbridge.plan.machine.Assembler.RAX;
import static io.kbridge.plan.machine.Assembler.RBP;
import static io.kbridge.plan.machine.Assembler.RBX;
import static io.kbridge.plan.machine.Assembler.RCX;
import static io.kbridge.plan.machine.Assembler.RDI;
import static io.kbridge.plan.machine.Assembler.RDX;
import static io.kbridge.plan.machine.Assembler.RSI;

import com.sun.jna.Memory;
import java.util.List;

/**
 * Writes the code of a {@link RowProgram}. The function's argument is the address of the arrays' addresses, {@link RowProgram#MOST_ARRAYS} numbers of 64 bits, with
 * {@link #CONSTANTS} behind them.
 */
final class RowCode {
  /** How many vector registers hold values. */
  static final int VALUES = 25;

  // Other vector registers.
  private static final int ARGUMENT = 25;
  private static final int SQUARE = 26;
  private static final int DENOMINATOR = 27;
  private static final int LOWEST = 28;
  private static final int HIGHEST = 29;
  private static final int HALF = 30;
  private static final int ZERO = 31;
  // What general registers hold.
  private static final int[] ARRAYS = {RAX, RCX, RDX, RSI, R8, R9, R10, R11};
  private static final int ARGUMENTS = RDI;
  private static final int ROWS_LEFT = RBX;
  private static final int VECTORS_LEFT = RBP;
  private static final int LINE = 64;
  // NB: tanh as Vectors has it. Numerator and denominator begin with the factor of the highest power of the argument's square.
  private static final float[] CONSTANTS = {
    -9f, 9f, 0.5f, 1f, 1f / 6,
    -2.76076847742355e-16f, 2.00018790482477e-13f, -8.60467152213735e-11f, 5.12229709037114e-08f, 1.48572235717979e-05f, 6.37261928875436e-04f,
    4.89352455891786e-03f,
    1.19825839466702e-06f, 1.18534705686654e-04f, 2.26843463243900e-03f, 4.89352518554385e-03f
  };
  private static final int AT_ONE = 3;
  private static final int AT_SIXTH = 4;
  private static final int AT_NUMERATOR = 5;
  private static final int AT_DENOMINATOR = 12;

  private final RowProgram program;
  private final int[] registers;
  private final Assembler code = new Assembler();

  private RowCode(RowProgram program) {
    this.program = program;
    this.registers = program.registers();
  }

  /** Writes the code. */
  static byte[] write(RowProgram program) {
    return new RowCode(program).write();
  }

  /** Returns what the function is called with, for arrays at some addresses. */
  static Memory arguments(long[] addresses) {
    Memory memory = new Memory(at(CONSTANTS.length));
    memory.write(0, addresses, 0, addresses.length);
    memory.write(at(0), CONSTANTS, 0, CONSTANTS.length);
    return memory;
  }

  private static int at(int constant) {
    return RowProgram.MOST_ARRAYS * Long.BYTES + constant * Float.BYTES;
  }

  private byte[] write() {
    List<Integer> rowBytes = program.rowBytes();
    code.push(ROWS_LEFT);
    code.push(VECTORS_LEFT);
    for (int i = 0; i < rowBytes.size(); i++) {
      code.read(ARRAYS[i], ARGUMENTS, i * Long.BYTES);
    }
    code.broadcast(LOWEST, ARGUMENTS, at(0));
    code.broadcast(HIGHEST, ARGUMENTS, at(1));
    code.broadcast(HALF, ARGUMENTS, at(2));
    code.zero(ZERO);
    code.set(ROWS_LEFT, program.rows());
    Assembler.Label row = code.here();
    code.set(VECTORS_LEFT, program.vectors());
    Assembler.Label vector = code.here();
    program.instructions().forEach(this::write);
    for (int i = 0; i < rowBytes.size(); i++) {
      code.add(ARRAYS[i], LINE);
    }
    code.decrement(VECTORS_LEFT);
    code.jumpUnlessEqual(vector);
    for (int i = 0; i < rowBytes.size(); i++) {
      code.add(ARRAYS[i], rowBytes.get(i) - program.vectors() * LINE);
    }
    code.decrement(ROWS_LEFT);
    code.jumpUnlessEqual(row);
    code.leaveVectors();
    code.pop(VECTORS_LEFT);
    code.pop(ROWS_LEFT);
    code.giveBack();
    return code.code();
  }

  private void write(RowProgram.Instruction instruction) {
    if (instruction.kind == RowProgram.Kind.WRITE) {
      code.store(ARRAYS[instruction.array], instruction.offset, registers[instruction.x]);
      return;
    }
    int z = registers[instruction.z];
    if (instruction.kind == RowProgram.Kind.READ) {
      code.load(z, ARRAYS[instruction.array], instruction.offset);
      return;
    }
    int x = registers[instruction.x];
    int y = registers[instruction.y];
    switch (instruction.kind) {
      case TANH:
        tanh(z, x);
        break;
      case SIGMOID:
        code.product(ARGUMENT, x, HALF);
        tanh(z, ARGUMENT);
        code.multiplyAndAdd(z, HALF, HALF);
        break;
      case RELU:
        code.max(z, ZERO, x);
        break;
      case HARD_SIGMOID:
        hardSigmoid(z, x);
        break;
      case ADD:
        code.sum(z, x, y);
        break;
      case SUBTRACT:
        code.difference(z, x, y);
        break;
      case MULTIPLY:
        code.product(z, x, y);
        break;
      default:
        throw new IllegalStateException("Expected an instruction that there is code for. Received: " + instruction.kind);
    }
  }

  /** NB: the argument is the second operand of {@code max} and {@code min}, so that NaN stays NaN. */
  private void tanh(int z, int x) {
    code.max(ARGUMENT, LOWEST, x);
    code.min(ARGUMENT, HIGHEST, ARGUMENT);
    code.product(SQUARE, ARGUMENT, ARGUMENT);
    polynomial(z, AT_NUMERATOR, AT_DENOMINATOR);
    polynomial(DENOMINATOR, AT_DENOMINATOR, CONSTANTS.length);
    code.product(z, z, ARGUMENT);
    code.quotient(z, z, DENOMINATOR);
  }

  private void polynomial(int z, int from, int to) {
    code.broadcast(z, ARGUMENTS, at(from));
    for (int i = from + 1; i < to; i++) {
      code.multiplyAndAdd(z, SQUARE, ARGUMENTS, at(i));
    }
  }

  private void hardSigmoid(int z, int x) {
    code.product(z, x, ARGUMENTS, at(AT_SIXTH));
    code.sum(z, z, HALF);
    code.broadcast(ARGUMENT, ARGUMENTS, at(AT_ONE));
    code.min(z, ARGUMENT, z);
    code.max(z, ZERO, z);
  }
}
