package io.kbridge.plan.onednn;

import java.util.ArrayList;
import java.util.Collections;
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

    /** Returns what is written. */
    List<Register> writes();

    /** Prepares it for a lane. */
    Runnable bind(LaneArrays lane);
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
    public List<Register> writes() {
      return products.results();
    }

    @Override
    public Runnable bind(LaneArrays lane) {
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

    Vectors.Unary function() {
      return function;
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
    public List<Register> writes() {
      return List.of(z);
    }

    @Override
    public Runnable bind(LaneArrays lane) {
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

    Vectors.Binary function() {
      return function;
    }

    Register x() {
      return x;
    }

    Register y() {
      return y;
    }

    Register z() {
      return z;
    }

    @Override
    public Set<Register> reads() {
      return x == y ? Set.of(x) : Set.of(x, y);
    }

    @Override
    public List<Register> writes() {
      return List.of(z);
    }

    @Override
    public Runnable bind(LaneArrays lane) {
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
    public List<Register> writes() {
      return List.of(z);
    }

    @Override
    public Runnable bind(LaneArrays lane) {
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

  /** Returns the registers of new states that may be those of the old ones, because nothing reads an old state once the new one is there. */
  Map<Register, Register> inPlace() {
    Map<Register, Register> found = new HashMap<>();
    for (int i = 0; i < states.size(); i++) {
      Register old = states.get(i);
      Register written = next.get(i);
      if (Collections.frequency(next, written) == 1 && !answers.contains(old) && isReadBefore(old, written)) {
        found.put(written, old);
      }
    }
    return found;
  }

  private boolean isReadBefore(Register old, Register written) {
    boolean there = false;
    for (Statement statement : statements) {
      if (there && statement.reads().contains(old)) {
        return false;
      }
      there |= statement.writes().contains(written);
    }
    return there;
  }

  /** Tells whether some statement reads a register. */
  boolean reads(Register register) {
    return statements.stream().anyMatch(statement -> statement.reads().contains(register)) || answers.contains(register);
  }
}
