package io.kbridge.plan.machine;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Writes machine code of x86-64 with AVX-512: the few instructions that are needed here, encoded as the processors' manuals say (Intel 64 and IA-32
 * Architectures Software Developer's Manual, volume 2: 2.2.1 for REX, 2.7 for EVEX, and the page of each instruction). Registers are given by their numbers;
 * a vector has 512 bits. Not thread safe.
 */
final class Assembler {
  // General registers, by their numbers.
  static final int RAX = 0;
  static final int RCX = 1;
  static final int RDX = 2;
  static final int RBX = 3;
  static final int RSP = 4;
  static final int RBP = 5;
  static final int RSI = 6;
  static final int RDI = 7;
  static final int R8 = 8;
  static final int R9 = 9;
  static final int R10 = 10;
  static final int R11 = 11;
  static final int R12 = 12;
  static final int R13 = 13;
  static final int R14 = 14;
  static final int R15 = 15;

  private static final int VECTOR = 64;
  private static final int SCALAR = 4;
  private static final int MAP_0F = 1;
  private static final int MAP_0F38 = 2;
  private static final int PREFIX_NONE = 0;
  private static final int PREFIX_66 = 1;
  private static final int PREFIX_F3 = 2;
  private static final int LENGTH_512 = 0x40;
  private static final int BROADCAST = 0x10;
  private static final int ZEROING = 0x80;
  /** Turns a length of 512 bits into one of 256. */
  private static final int HALF_LENGTH = 0x60;
  private static final int HALF_VECTOR = 32;

  private ByteBuffer code = ByteBuffer.allocate(1 << 12).order(ByteOrder.LITTLE_ENDIAN);

  /** Returns what has been written. */
  byte[] code() {
    return Arrays.copyOf(code.array(), code.position());
  }

  // ---- Vectors ----

  /** Reads a vector. */
  void load(int vector, int base, int offset) {
    evex(MAP_0F, PREFIX_NONE, 0x10, vector, 0, base, offset, VECTOR, 0);
  }

  /** Reads a vector if a mask says so; otherwise it becomes zero, and memory need not be there. */
  void loadIf(int mask, int vector, int base, int offset) {
    evex(MAP_0F, PREFIX_NONE, 0x10, vector, 0, base, offset, VECTOR, ZEROING | mask);
  }

  /** Writes a vector. */
  void store(int base, int offset, int vector) {
    evex(MAP_0F, PREFIX_NONE, 0x11, vector, 0, base, offset, VECTOR, 0);
  }

  /** Writes a vector if a mask says so. */
  void storeIf(int mask, int base, int offset, int vector) {
    evex(MAP_0F, PREFIX_NONE, 0x11, vector, 0, base, offset, VECTOR, mask);
  }

  /** Fills a vector with one number. */
  void broadcast(int vector, int base, int offset) {
    evex(MAP_0F38, PREFIX_66, 0x18, vector, 0, base, offset, SCALAR, 0);
  }

  /** Adds two vectors. */
  void sum(int result, int a, int b) {
    evex(MAP_0F, PREFIX_NONE, 0x58, result, a, b);
  }

  /** Adds a vector in memory. */
  void add(int vector, int base, int offset) {
    evex(MAP_0F, PREFIX_NONE, 0x58, vector, vector, base, offset, VECTOR, 0);
  }

  /** Subtracts the second vector from the first. */
  void difference(int result, int a, int b) {
    evex(MAP_0F, PREFIX_NONE, 0x5C, result, a, b);
  }

  /** Multiplies two vectors. */
  void product(int result, int a, int b) {
    evex(MAP_0F, PREFIX_NONE, 0x59, result, a, b);
  }

  /** Divides the first vector by the second. */
  void quotient(int result, int a, int b) {
    evex(MAP_0F, PREFIX_NONE, 0x5E, result, a, b);
  }

  /** Multiplies a vector with one number in memory. */
  void product(int result, int a, int base, int offset) {
    evex(MAP_0F, PREFIX_NONE, 0x59, result, a, base, offset, SCALAR, BROADCAST);
  }

  /** Adds the products of two vectors, each rounded once with its sum. */
  void addProduct(int sum, int a, int b) {
    evex(MAP_0F38, PREFIX_66, 0xB8, sum, a, b);
  }

  /** Adds the products of a vector with one number in memory. */
  void addProduct(int sum, int a, int base, int offset) {
    evex(MAP_0F38, PREFIX_66, 0xB8, sum, a, base, offset, SCALAR, BROADCAST);
  }

  /** Multiplies a vector with another one and adds a third, rounded once. */
  void multiplyAndAdd(int vector, int factor, int added) {
    evex(MAP_0F38, PREFIX_66, 0xA8, vector, factor, added);
  }

  /** Multiplies a vector with another one and adds one number in memory, rounded once. */
  void multiplyAndAdd(int vector, int factor, int base, int offset) {
    evex(MAP_0F38, PREFIX_66, 0xA8, vector, factor, base, offset, SCALAR, BROADCAST);
  }

  /** Adds the products of two vectors of pairs of bfloat16 numbers, both of a pair. */
  void addPairs(int sum, int a, int b) {
    evex(MAP_0F38, PREFIX_F3, 0x52, sum, a, b);
  }

  /** Reads a vector of bfloat16 numbers, and makes them float32. */
  void loadHalf(int vector, int base, int offset) {
    evex(MAP_0F38, PREFIX_66, 0x33, vector, 0, base, offset, HALF_VECTOR, 0);
    evex(MAP_0F, PREFIX_66, 0x72, 6, vector, vector);
    bytes(16);
  }

  /** Writes a vector as bfloat16 numbers, rounded; changes it. */
  void storeHalf(int base, int offset, int vector) {
    evex(MAP_0F38, PREFIX_F3, 0x72, vector, 0, vector);
    evex(MAP_0F, PREFIX_NONE, 0x11, vector, 0, base, offset, HALF_VECTOR, HALF_LENGTH);
  }

  /** Takes the larger numbers of two vectors, those of the second where one is NaN. */
  void max(int result, int a, int b) {
    evex(MAP_0F, PREFIX_NONE, 0x5F, result, a, b);
  }

  /** Takes the smaller numbers of two vectors, those of the second where one is NaN. */
  void min(int result, int a, int b) {
    evex(MAP_0F, PREFIX_NONE, 0x5D, result, a, b);
  }

  /** Takes the smaller numbers of a vector and one number in memory. */
  void atMost(int vector, int base, int offset) {
    evex(MAP_0F, PREFIX_NONE, 0x5D, vector, vector, base, offset, SCALAR, BROADCAST);
  }

  /** Copies a vector. */
  void copy(int to, int from) {
    evex(MAP_0F, PREFIX_NONE, 0x28, to, 0, from);
  }

  /** Sets a vector to zero. */
  void zero(int vector) {
    evex(MAP_0F, PREFIX_66, 0xEF, vector, vector, vector);
  }

  /** Reads a mask of 16 bits. */
  void readMask(int mask, int base, int offset) {
    bytes(0xC4, 0xC1 | (~base >> 3 & 1) << 5, 0x78, 0x90);
    memory(mask, base, offset, null);
  }

  /** Lets the processor forget the upper halves of vectors, which would slow down older instructions. */
  void leaveVectors() {
    bytes(0xC5, 0xF8, 0x77);
  }

  /** An instruction of three vectors: {@code reg = second op third}. */
  private void evex(int map, int prefix, int opcode, int reg, int second, int third) {
    // NB: X is the fifth bit of a register here, there is no index.
    prefixes(map, prefix, reg, second, third >> 3 & 1, third >> 4 & 1, 0);
    bytes(opcode, 0xC0 | (reg & 7) << 3 | third & 7);
  }

  /** An instruction whose last operand is in memory. Offsets that are multiples of its size take one byte, if there are few of them. */
  private void evex(int map, int prefix, int opcode, int reg, int second, int base, int offset, int size, int more) {
    prefixes(map, prefix, reg, second, base >> 3, 0, more);
    bytes(opcode);
    int few = offset / size;
    memory(reg, base, offset, offset % size == 0 && few == (byte) few ? few : null);
  }

  private void prefixes(int map, int prefix, int reg, int second, int b, int x, int more) {
    int first = (~reg >> 3 & 1) << 7 | (~x & 1) << 6 | (~b & 1) << 5 | (~reg >> 4 & 1) << 4 | map;
    bytes(0x62, first, (~second & 15) << 3 | 4 | prefix, (LENGTH_512 | (~second >> 4 & 1) << 3) ^ more);
  }

  // ---- General registers ----

  /** Reads a number of 64 bits. */
  void read(int register, int base, int offset) {
    wide(register, base);
    bytes(0x8B);
    memory(register, base, offset, null);
  }

  /** Writes a number of 64 bits. */
  void write(int base, int offset, int register) {
    wide(register, base);
    bytes(0x89);
    memory(register, base, offset, null);
  }

  /** Copies a register. */
  void move(int to, int from) {
    wide(from, to);
    bytes(0x89, 0xC0 | (from & 7) << 3 | to & 7);
  }

  /** Sets a register to a positive number. */
  void set(int register, int number) {
    bytes(0x48 | register >> 3, 0xC7, 0xC0 | register & 7);
    code.putInt(number);
  }

  /** Adds a number. */
  void add(int register, int number) {
    bytes(0x48 | register >> 3, 0x81, 0xC0 | register & 7);
    code.putInt(number);
  }

  /** Adds a number in memory. */
  void addNumber(int register, int base, int offset) {
    wide(register, base);
    bytes(0x03);
    memory(register, base, offset, null);
  }

  /** Adds another register. */
  void addRegister(int register, int other) {
    wide(other, register);
    bytes(0x01, 0xC0 | (other & 7) << 3 | register & 7);
  }

  /** Multiplies by a number. */
  void multiply(int register, int number) {
    wide(register, register);
    bytes(0x69, 0xC0 | (register & 7) << 3 | register & 7);
    code.putInt(number);
  }

  /** Forgets the upper 32 bits, which a function that gives an int leaves as they were. */
  void keepInt(int register) {
    prefix(0x40 | register >> 3 << 2 | register >> 3);
    bytes(0x89, 0xC0 | (register & 7) << 3 | register & 7);
  }

  /** Compares with a small number. */
  void compare(int register, int number) {
    bytes(0x48 | register >> 3, 0x83, 0xF8 | register & 7, number);
  }

  /** Compares with a number in memory. */
  void compare(int register, int base, int offset) {
    wide(register, base);
    bytes(0x3B);
    memory(register, base, offset, null);
  }

  /** Subtracts one, and compares with zero. */
  void decrement(int register) {
    bytes(0x48 | register >> 3, 0xFF, 0xC8 | register & 7);
  }

  /** Lets a register be a multiple of 64, the next one below. */
  void alignDown(int register) {
    bytes(0x48 | register >> 3, 0x83, 0xE0 | register & 7, -VECTOR);
  }

  void push(int register) {
    prefix(0x40 | register >> 3);
    bytes(0x50 | register & 7);
  }

  void pop(int register) {
    prefix(0x40 | register >> 3);
    bytes(0x58 | register & 7);
  }

  /** Asks for a line of memory to be read into the second cache, and does not wait for it. Any address will do. */
  void prefetch(int base, int offset) {
    prefix(0x40 | base >> 3);
    bytes(0x0F, 0x18);
    memory(2, base, offset, null);
  }

  // ---- Control ----

  /** Calls a function whose address lies in memory. */
  void call(int base, int offset) {
    prefix(0x40 | base >> 3);
    bytes(0xFF);
    memory(2, base, offset, null);
  }

  void giveBack() {
    bytes(0xC3);
  }

  /** Returns a label for the place that is written next. */
  Label here() {
    Label label = new Label();
    place(label);
    return label;
  }

  /** Gives a label its place, the one that is written next. */
  void place(Label label) {
    label.place = code.position();
    label.jumps.forEach(jump -> code.putInt(jump, label.place - jump - Integer.BYTES));
  }

  void jump(Label to) {
    bytes(0xE9);
    target(to);
  }

  /** Jumps if what was compared is equal, or zero. */
  void jumpIfEqual(Label to) {
    bytes(0x0F, 0x84);
    target(to);
  }

  /** Jumps if what was compared is different, or not zero. */
  void jumpUnlessEqual(Label to) {
    bytes(0x0F, 0x85);
    target(to);
  }

  /** Jumps if what was compared is not less, both without a sign. */
  void jumpUnlessBelow(Label to) {
    bytes(0x0F, 0x83);
    target(to);
  }

  private void target(Label to) {
    to.jumps.add(code.position());
    code.putInt(to.place - code.position() - Integer.BYTES);
  }

  /** A place in the code. */
  static final class Label {
    private final List<Integer> jumps = new ArrayList<>();
    private int place;
  }

  // ---- Encoding ----

  /** A prefix for operands of 64 bits. */
  private void wide(int reg, int rm) {
    bytes(0x48 | reg >> 3 << 2 | rm >> 3);
  }

  private void prefix(int rex) {
    if (rex != 0x40) {
      bytes(rex);
    }
  }

  /** An operand in memory: {@code few} is an offset in one byte, in whatever unit the instruction has, or null. */
  private void memory(int reg, int base, int offset, Integer few) {
    bytes((few == null ? 0x80 : 0x40) | (reg & 7) << 3 | base & 7);
    if ((base & 7) == RSP) {
      bytes(0x24);
    }
    if (few == null) {
      code.putInt(offset);
    } else {
      bytes(few);
    }
  }

  private void bytes(int... values) {
    if (code.remaining() < 64) {
      code = ByteBuffer.allocate(2 * code.capacity()).order(ByteOrder.LITTLE_ENDIAN).put(code());
    }
    for (int value : values) {
      code.put((byte) value);
    }
  }
}
