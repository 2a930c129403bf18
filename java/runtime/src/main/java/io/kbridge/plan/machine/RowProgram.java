package io.kbridge.plan.machine;

import java.util.ArrayList;
import java.util.List;

/**
 * Functions of arrays, number by number, all of them in one pass: what is read once and what lies between stays in registers. Arrays have the same number of
 * rows, a whole number of vectors each. Values are named by their numbers, in the order in which they are made. Not thread safe.
 */
public final class RowProgram {
  /** How many arrays there may be. */
  public static final int MOST_ARRAYS = 8;

  private final int rows;
  private final int vectors;
  private final List<Integer> rowBytes = new ArrayList<>();
  private final List<Instruction> instructions = new ArrayList<>();
  private int values;

  /** What an instruction does. Those that make a value come first. */
  enum Kind {
    READ,
    TANH,
    SIGMOID,
    RELU,
    HARD_SIGMOID,
    ADD,
    SUBTRACT,
    MULTIPLY,
    WRITE
  }

  /** One instruction: what it reads, what it makes, and where in which array. */
  static final class Instruction {
    final Kind kind;
    final int x;
    final int y;
    final int z;
    final int array;
    final int offset;

    Instruction(Kind kind, int x, int y, int z, int array, int offset) {
      this.kind = kind;
      this.x = x;
      this.y = y;
      this.z = z;
      this.array = array;
      this.offset = offset;
    }
  }

  /**
   * Starts without any.
   *
   * @param rows how many rows arrays have
   * @param vectors how many vectors of 16 numbers a row has
   */
  public RowProgram(int rows, int vectors) {
    this.rows = rows;
    this.vectors = vectors;
  }

  /**
   * Names another array.
   *
   * @param bytes from one of its rows to the next; 0 for one that has the same row again and again
   * @return its number
   */
  public int array(int bytes) {
    rowBytes.add(bytes);
    return rowBytes.size() - 1;
  }

  /**
   * Reads.
   *
   * @param array the array
   * @param offset how many bytes behind the beginning of each row
   * @return the value
   */
  public int read(int array, int offset) {
    return make(Kind.READ, 0, 0, array, offset);
  }

  /**
   * Writes a value.
   *
   * @param array the array
   * @param offset how many bytes behind the beginning of each row
   * @param value the value
   */
  public void write(int array, int offset, int value) {
    instructions.add(new Instruction(Kind.WRITE, value, value, 0, array, offset));
  }

  /**
   * Takes the hyperbolic tangent, by the rational function that Eigen uses: within 4e-7 of it, everywhere.
   *
   * @param x a value
   * @return the result
   */
  public int tanh(int x) {
    return make(Kind.TANH, x, x, 0, 0);
  }

  /**
   * Takes the logistic function, as {@code tanh(x / 2) / 2 + 1 / 2}.
   *
   * @param x a value
   * @return the result
   */
  public int sigmoid(int x) {
    return make(Kind.SIGMOID, x, x, 0, 0);
  }

  /**
   * Sets negative numbers to zero.
   *
   * @param x a value
   * @return the result
   */
  public int relu(int x) {
    return make(Kind.RELU, x, x, 0, 0);
  }

  /**
   * Takes {@code x / 6 + 1 / 2}, but from 0 to 1.
   *
   * @param x a value
   * @return the result
   */
  public int hardSigmoid(int x) {
    return make(Kind.HARD_SIGMOID, x, x, 0, 0);
  }

  /**
   * Adds.
   *
   * @param x a value
   * @param y another one, or the same
   * @return the result
   */
  public int add(int x, int y) {
    return make(Kind.ADD, x, y, 0, 0);
  }

  /**
   * Subtracts the second value from the first.
   *
   * @param x a value
   * @param y another one, or the same
   * @return the result
   */
  public int subtract(int x, int y) {
    return make(Kind.SUBTRACT, x, y, 0, 0);
  }

  /**
   * Multiplies.
   *
   * @param x a value
   * @param y another one, or the same
   * @return the result
   */
  public int multiply(int x, int y) {
    return make(Kind.MULTIPLY, x, y, 0, 0);
  }

  private int make(Kind kind, int x, int y, int array, int offset) {
    instructions.add(new Instruction(kind, x, y, values, array, offset));
    return values++;
  }

  /**
   * Tells whether there are registers for it.
   *
   * @return false if there are too many arrays, or values at the same time
   */
  public boolean isPossible() {
    return rowBytes.size() <= MOST_ARRAYS && registers() != null;
  }

  int rows() {
    return rows;
  }

  int vectors() {
    return vectors;
  }

  List<Integer> rowBytes() {
    return rowBytes;
  }

  List<Instruction> instructions() {
    return instructions;
  }

  /** Returns the vector register of each value, or null if there are too few. A value's register is free after its last reader, for that one's result already. */
  int[] registers() {
    int[] lastReader = new int[values];
    for (int i = 0; i < instructions.size(); i++) {
      if (instructions.get(i).kind != Kind.READ) {
        lastReader[instructions.get(i).x] = i;
        lastReader[instructions.get(i).y] = i;
      }
    }
    int[] found = new int[values];
    int[] busyUntil = new int[RowCode.VALUES];
    for (int i = 0; i < instructions.size(); i++) {
      Instruction instruction = instructions.get(i);
      if (instruction.kind == Kind.WRITE) {
        continue;
      }
      int register = 0;
      while (register < busyUntil.length && busyUntil[register] > i) {
        register++;
      }
      if (register == busyUntil.length) {
        return null;
      }
      found[instruction.z] = register;
      // NB: also of a value that nobody reads, until the next instruction.
      busyUntil[register] = Math.max(lastReader[instruction.z], i + 1);
    }
    return found;
  }
}
