package io.kbridge.plan.onednn;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.BytePointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Registers in arrays of the JVM, and loops that its compiler turns into vector instructions. */
final class LaneArrays implements LaneMemory {
  private final Layer layer;
  private final List<ProductCalls> calls;
  private final int first;
  private final int rows;
  private final Map<Register, Register> inPlace;
  private final Map<Register, float[]> registers = new HashMap<>();
  private final List<Runnable> statements = new ArrayList<>();
  private ByteBuffer mask;
  private int position;
  private int slot;

  /**
   * Starts without memory.
   *
   * @param layer the layer
   * @param calls its products
   * @param first the first sample
   * @param rows how many samples
   */
  LaneArrays(Layer layer, List<ProductCalls> calls, int first, int rows) {
    this.layer = layer;
    this.calls = calls;
    this.first = first;
    this.rows = rows;
    this.inPlace = layer.cell().inPlace();
  }

  @Override
  public void allocate(OpContext context, Map<Register, INDArray> sources) {
    Map<Register, FloatBuffer> unwritten = new HashMap<>();
    sources.forEach((register, memory) -> unwritten.put(register, ProductCalls.buffer(memory)));
    for (Cell.Statement statement : layer.cell().statements()) {
      FloatBuffer source = statement instanceof Cell.Multiply ? unwritten.remove(((Cell.Multiply) statement).products().source()) : null;
      if (source != null) {
        float[] numbers = numbers(((Cell.Multiply) statement).products().source());
        statements.add(() -> source.position(0).put(numbers));
      }
      statements.add(statement.bind(this));
    }
    mask = layer.mask() == null ? null : new BytePointer(NativeArrays.borrowed(layer.mask())).capacity(layer.mask().length()).asBuffer();
  }

  @Override
  public void run(int position, int slot) {
    this.position = position;
    this.slot = slot;
    for (int i = 0; i < statements.size(); i++) {
      statements.get(i).run();
    }
  }

  @Override
  public void set(Register register, FloatBuffer from) {
    from.get(numbers(register));
  }

  @Override
  public void get(Register register, int row, int rows, FloatBuffer to) {
    to.put(numbers(register), row * register.width(), rows * register.width());
  }

  @Override
  public void copy(Register from, Register to) {
    float[] source = numbers(from);
    float[] target = numbers(to);
    if (source != target) {
      System.arraycopy(source, 0, target, 0, target.length);
    }
  }

  @Override
  public String implementation() {
    return "";
  }

  int rows() {
    return rows;
  }

  /** Returns which of the steps is being computed that the sequence was multiplied for, in the order in which they are in memory. */
  int slot() {
    return slot;
  }

  /** Tells whether a sample is to stay as it is at this step. */
  boolean isMasked(int row) {
    return mask.get((first + row) * layer.length() + position) == 0;
  }

  /** Returns a register's numbers, one row after the other. */
  float[] numbers(Register register) {
    return registers.computeIfAbsent(
        inPlace.getOrDefault(register, register),
        key -> {
          float[] numbers = new float[rows * key.width()];
          float[] row = layer.cell().constants().get(key);
          for (int at = 0; row != null && at < numbers.length; at += row.length) {
            System.arraycopy(row, 0, numbers, at, row.length);
          }
          return numbers;
        });
  }

  /** Prepares a product. */
  Runnable bind(Products products) {
    return ProductCalls.of(products, calls).bind(this);
  }
}
