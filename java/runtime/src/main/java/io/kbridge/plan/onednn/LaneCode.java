package io.kbridge.plan.onednn;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.machine.Jobs;
import io.kbridge.plan.machine.RowFunction;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.IntConsumer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Registers in native memory, and machine code of ours: what lies between two products is one pass over the numbers, which stay in the processor's registers.
 * Results of products are read where they are, and what products multiply is written where they read it.
 */
final class LaneCode implements LaneMemory {
  private final Cell cell;
  private final List<ProductCalls> calls;
  private final int rows;
  private final int chunk;
  private final Map<Register, Register> inPlace;
  private final Map<Register, INDArray> arrays = new HashMap<>();
  private final Map<Register, FloatBuffer> buffers = new HashMap<>();
  private final Map<Register, Memory> constants = new HashMap<>();
  private final List<IntConsumer> parts = new ArrayList<>();

  /**
   * Starts without memory.
   *
   * @param cell the cell, one that {@link #suits}
   * @param calls its products
   * @param rows how many samples
   * @param chunk how many steps at once the sequence is multiplied for
   */
  LaneCode(Cell cell, List<ProductCalls> calls, int rows, int chunk) {
    this.cell = cell;
    this.calls = calls;
    this.rows = rows;
    this.chunk = chunk;
    this.inPlace = cell.inPlace();
  }

  /** Tells whether there is code for all of a cell. Masks, and states that are results of products, have none. */
  static boolean suits(Cell cell) {
    if (!Jobs.isPossible() || !OneDnn.hasWideVectors()) {
      return false;
    }
    Set<Register> known = new HashSet<>(cell.states());
    Set<Register> written = new HashSet<>();
    for (List<Cell.Statement> part : parts(cell)) {
      if (isProduct(part.get(0))) {
        known.addAll(part.get(0).reads());
      } else if (LanePass.of(cell, part, 1) == null) {
        return false;
      } else {
        part.forEach(statement -> written.addAll(statement.writes()));
      }
    }
    // NB: what products read has memory of its own.
    boolean apart = known.stream().noneMatch(cell.inPlace()::containsKey);
    known.removeAll(cell.states());
    return apart && written.containsAll(known) && written.containsAll(cell.next()) && written.containsAll(cell.answers());
  }

  /** Returns the statements in order, each product alone and all others together that have none between them. */
  private static List<List<Cell.Statement>> parts(Cell cell) {
    List<List<Cell.Statement>> parts = new ArrayList<>();
    boolean open = false;
    for (Cell.Statement statement : cell.statements()) {
      if (!open || isProduct(statement)) {
        parts.add(new ArrayList<>());
      }
      parts.get(parts.size() - 1).add(statement);
      open = !isProduct(statement);
    }
    return parts;
  }

  private static boolean isProduct(Cell.Statement statement) {
    return statement instanceof Cell.Multiply;
  }

  @Override
  public void allocate(OpContext context, Map<Register, INDArray> sources) {
    arrays.putAll(sources);
    for (List<Cell.Statement> part : parts(cell)) {
      parts.add(isProduct(part.get(0)) ? ProductCalls.of(((Cell.Multiply) part.get(0)).products(), calls)::run : pass(context, part));
    }
    cell.states().forEach(state -> array(context, state));
    arrays.forEach((register, array) -> buffers.put(register, ProductCalls.buffer(array)));
  }

  /** Prepares a pass, for each step anew if it reads results that are elsewhere then. */
  private IntConsumer pass(OpContext context, List<Cell.Statement> statements) {
    LanePass pass = LanePass.of(cell, statements, rows);
    boolean moves = pass.arrays().stream().anyMatch(array -> array instanceof Products && ProductCalls.of((Products) array, calls).stepBytes() > 0);
    RowFunction[] steps = new RowFunction[moves ? chunk : 1];
    for (int slot = 0; slot < steps.length; slot++) {
      int step = slot;
      long[] addresses = pass.arrays().stream().mapToLong(array -> address(context, array, step)).toArray();
      steps[slot] = new RowFunction(pass.program(), addresses, constants);
    }
    return slot -> steps[moves ? slot : 0].run();
  }

  private long address(OpContext context, Object array, int slot) {
    if (array instanceof Products) {
      ProductCalls call = ProductCalls.of((Products) array, calls);
      return call.address() + slot * call.stepBytes();
    }
    Register register = (Register) array;
    float[] row = cell.constants().get(register);
    return row == null ? NativeArrays.address(array(context, register)) : Pointer.nativeValue(constants.computeIfAbsent(register, key -> memory(row)));
  }

  private INDArray array(OpContext context, Register register) {
    return arrays.computeIfAbsent(inPlace.getOrDefault(register, register), key -> context.scratch(DataType.FLOAT, rows, key.width()));
  }

  private static Memory memory(float[] row) {
    Memory memory = new Memory((long) row.length * Float.BYTES);
    memory.write(0, row, 0, row.length);
    return memory;
  }

  @Override
  public void run(int position, int slot) {
    for (int i = 0; i < parts.size(); i++) {
      parts.get(i).accept(slot);
    }
  }

  @Override
  public void set(Register register, FloatBuffer from) {
    FloatBuffer part = from.duplicate();
    part.limit(part.position() + rows * register.width());
    buffer(register).position(0).put(part);
  }

  @Override
  public void get(Register register, int row, int rows, FloatBuffer to) {
    FloatBuffer part = buffer(register).duplicate();
    part.limit((row + rows) * register.width()).position(row * register.width());
    to.put(part);
  }

  @Override
  public void copy(Register from, Register to) {
    FloatBuffer source = buffer(from);
    FloatBuffer target = buffer(to);
    if (source != target) {
      target.position(0).put(source.position(0));
    }
  }

  private FloatBuffer buffer(Register register) {
    return buffers.get(inPlace.getOrDefault(register, register));
  }

  @Override
  public String implementation() {
    return " and machine code";
  }
}
