package io.kbridge.plan.onednn;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** One step of a recurrent layer, as statements about registers. Filled by {@link CellReader}, then only read. */
final class Cell {
  private final List<Statement> statements = new ArrayList<>();
  private final Map<Register, float[]> constants = new HashMap<>();
  private final List<Register> states = new ArrayList<>();
  private final List<Register> next = new ArrayList<>();
  private final List<Register> answers = new ArrayList<>();

  /** Something that is done at each step. */
  interface Statement {
    /** Returns what is read. */
    Set<Register> reads();

    /** Prepares it for some samples. */
    Runnable bind(Lane lane);
  }

  /** Products, in the order of the first that is needed. */
  static final class Multiply implements Statement {
    private final Products products;

    Multiply(Products products) {
      this.products = products;
    }

    Products products() {
      return products;
    }

    @Override
    public Set<Register> reads() {
      return products.source() == null ? Set.of() : Set.of(products.source());
    }

    @Override
    public Runnable bind(Lane lane) {
      return lane.bind(products);
    }
  }

  /** A function of one register. */
  static final class Apply implements Statement {
    private final Vectors.Unary function;
    private final Register x;
    private final Register z;

    Apply(Vectors.Unary function, Register x, Register z) {
      this.function = function;
      this.x = x;
      this.z = z;
    }

    Register x() {
      return x;
    }

    Register z() {
      return z;
    }

    @Override
    public Set<Register> reads() {
      return Set.of(x);
    }

    @Override
    public Runnable bind(Lane lane) {
      float[] from = lane.numbers(x);
      float[] to = lane.numbers(z);
      return () -> function.apply(from, to);
    }
  }

  /** A function of two registers. */
  static final class Combine implements Statement {
    private final Vectors.Binary function;
    private final Register x;
    private final Register y;
    private final Register z;

    Combine(Vectors.Binary function, Register x, Register y, Register z) {
      this.function = function;
      this.x = x;
      this.y = y;
      this.z = z;
    }

    @Override
    public Set<Register> reads() {
      return x == y ? Set.of(x) : Set.of(x, y);
    }

    @Override
    public Runnable bind(Lane lane) {
      float[] first = lane.numbers(x);
      float[] second = lane.numbers(y);
      float[] to = lane.numbers(z);
      return () -> function.apply(first, second, to);
    }
  }

  /** For each sample one of two registers, as the mask says. */
  static final class Choose implements Statement {
    private final Register x;
    private final Register y;
    private final Register z;

    Choose(Register x, Register y, Register z) {
      this.x = x;
      this.y = y;
      this.z = z;
    }

    @Override
    public Set<Register> reads() {
      return x == y ? Set.of(x) : Set.of(x, y);
    }

    @Override
    public Runnable bind(Lane lane) {
      float[] ifTrue = lane.numbers(x);
      float[] ifFalse = lane.numbers(y);
      float[] to = lane.numbers(z);
      int width = z.width();
      return () -> {
        for (int row = 0; row < lane.rows(); row++) {
          System.arraycopy(lane.isMasked(row) ? ifFalse : ifTrue, row * width, to, row * width, width);
        }
      };
    }
  }

  List<Statement> statements() {
    return statements;
  }

  /** Returns the registers that hold the same row for every sample, and that row. */
  Map<Register, float[]> constants() {
    return constants;
  }

  /** Returns where the states are when a step begins. */
  List<Register> states() {
    return states;
  }

  /** Returns where each new state is when a step ends. */
  List<Register> next() {
    return next;
  }

  /** Returns where the answers are when a step ends. */
  List<Register> answers() {
    return answers;
  }

  /** Tells whether some statement reads a register. */
  boolean reads(Register register) {
    return statements.stream().anyMatch(statement -> statement.reads().contains(register)) || answers.contains(register);
  }
}
