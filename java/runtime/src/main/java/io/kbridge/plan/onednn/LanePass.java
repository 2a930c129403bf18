package io.kbridge.plan.onednn;

import io.kbridge.plan.machine.PanelShape;
import io.kbridge.plan.machine.RowProgram;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;

/** What a cell computes between two products, number by number, as a program. Immutable once made. */
final class LanePass {
  private static final Map<Vectors.Unary, BiFunction<RowProgram, Integer, Integer>> FUNCTIONS =
      Map.of(
          Vectors.TANH, RowProgram::tanh,
          Vectors.SIGMOID, RowProgram::sigmoid,
          Vectors.RELU, RowProgram::relu,
          Vectors.HARD_SIGMOID, RowProgram::hardSigmoid);
  private static final Map<Vectors.Binary, Operation> OPERATIONS =
      Map.of(Vectors.ADD, RowProgram::add, Vectors.SUBTRACT, RowProgram::subtract, Vectors.MULTIPLY, RowProgram::multiply);

  private final Cell cell;
  private final List<Cell.Statement> statements;
  private final Map<Register, Register> inPlace;
  private final RowProgram program;
  private final List<Object> arrays = new ArrayList<>();
  private final Map<Register, Integer> values = new HashMap<>();

  /** Adds an operation to a program. */
  @FunctionalInterface
  private interface Operation {
    int add(RowProgram program, int x, int y);
  }

  private LanePass(Cell cell, List<Cell.Statement> statements, int rows, int width) {
    this.cell = cell;
    this.statements = statements;
    this.inPlace = cell.inPlace();
    this.program = new RowProgram(rows, width / PanelShape.VECTOR);
  }

  /**
   * Writes a program.
   *
   * @param cell the cell
   * @param statements some of its statements, one after the other, none of them products
   * @param rows how many samples
   * @return the pass, or null if it cannot be one
   */
  static LanePass of(Cell cell, List<Cell.Statement> statements, int rows) {
    int width = statements.get(0).writes().get(0).width();
    LanePass pass = new LanePass(cell, statements, rows, width);
    return width % PanelShape.VECTOR == 0 && pass.write(width) && pass.program.isPossible() ? pass : null;
  }

  RowProgram program() {
    return program;
  }

  /** Returns what each of the program's arrays is: products, all their results side by side, or a register. */
  List<Object> arrays() {
    return arrays;
  }

  private boolean write(int width) {
    Set<Register> wanted = readElsewhere();
    for (Cell.Statement statement : statements) {
      boolean even = statement.writes().get(0).width() == width && statement.reads().stream().allMatch(register -> register.width() == width);
      if (!even || !add(statement)) {
        return false;
      }
      Register result = statement.writes().get(0);
      if (wanted.contains(result)) {
        program.write(array(result), offset(result), values.get(result));
      }
    }
    return true;
  }

  private boolean add(Cell.Statement statement) {
    if (statement instanceof Cell.Apply && FUNCTIONS.containsKey(((Cell.Apply) statement).function())) {
      Cell.Apply apply = (Cell.Apply) statement;
      values.put(apply.z(), FUNCTIONS.get(apply.function()).apply(program, value(apply.x())));
      return true;
    }
    if (statement instanceof Cell.Combine && OPERATIONS.containsKey(((Cell.Combine) statement).function())) {
      Cell.Combine combine = (Cell.Combine) statement;
      int x = value(combine.x());
      int y = value(combine.y());
      values.put(combine.z(), OPERATIONS.get(combine.function()).add(program, x, y));
      return true;
    }
    return false;
  }

  /** Returns the registers that have to be in memory when this is done. */
  private Set<Register> readElsewhere() {
    Set<Register> read = new HashSet<>(cell.next());
    read.addAll(cell.answers());
    cell.statements().stream().filter(statement -> !statements.contains(statement)).forEach(statement -> read.addAll(statement.reads()));
    return read;
  }

  private int value(Register register) {
    Integer known = values.get(register);
    if (known == null) {
      known = program.read(array(register), offset(register));
      values.put(register, known);
    }
    return known;
  }

  private int array(Register register) {
    Products products = products(register);
    Object array = products == null ? inPlace.getOrDefault(register, register) : products;
    if (!arrays.contains(array)) {
      arrays.add(array);
      boolean isConstant = cell.constants().containsKey(register);
      program.array(isConstant ? 0 : (products == null ? register.width() : products.width()) * Float.BYTES);
    }
    return arrays.indexOf(array);
  }

  private int offset(Register register) {
    Products products = products(register);
    int offset = 0;
    for (int i = 0; products != null && products.results().get(i) != register; i++) {
      offset += products.results().get(i).width() * Float.BYTES;
    }
    return offset;
  }

  /** Returns the products that a register is a result of, or null. */
  private Products products(Register register) {
    for (Cell.Statement statement : cell.statements()) {
      if (statement instanceof Cell.Multiply && statement.writes().contains(register)) {
        return ((Cell.Multiply) statement).products();
      }
    }
    return null;
  }
}
