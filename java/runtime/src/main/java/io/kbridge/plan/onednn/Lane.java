package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_FROM;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_TO;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.Step;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.reorder;
import org.bytedeco.javacpp.BytePointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A recurrent layer for some samples of the batch: all of its steps, in chunks. */
final class Lane {
  private final OneDnnSession session;
  private final Layer layer;
  private final int first;
  private final int rows;
  private final int chunk;
  private final List<ProductCalls> calls = new ArrayList<>();
  private final Map<Register, Register> inPlace;
  private final Map<Register, float[]> registers = new HashMap<>();
  private final List<Runnable> statements = new ArrayList<>();
  private BytePointer sequence;
  private memory given;
  private memory chunked;
  private Step gather;
  private FloatBuffer[] initial;
  private FloatBuffer[] finals;
  private FloatBuffer answers;
  private ByteBuffer mask;
  private int position;
  private int slot;

  /**
   * Finds the primitives.
   *
   * @param session owns everything native
   * @param layer the layer
   * @param first the first sample
   * @param rows how many samples
   * @param chunk how many steps at once the sequence is multiplied for
   */
  Lane(OneDnnSession session, Layer layer, int first, int rows, int chunk) {
    this.session = session;
    this.layer = layer;
    this.first = first;
    this.rows = rows;
    this.chunk = chunk;
    this.inPlace = layer.cell().inPlace();
    for (Cell.Statement statement : layer.cell().statements()) {
      if (statement instanceof Cell.Multiply) {
        calls.add(new ProductCalls(session, ((Cell.Multiply) statement).products(), rows, chunk));
      }
    }
  }

  /** Tells whether oneDNN has fast code for all products. */
  boolean isFound() {
    return calls.stream().allMatch(ProductCalls::isFound);
  }

  String implementation() {
    return calls.get(0).implementation();
  }

  int rows() {
    return rows;
  }

  /** Returns which of the chunk's steps is being computed, in the order in which they are in memory. */
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

  /**
   * Gives the lane its memory.
   *
   * @param context gives it
   * @param before the lane whose answers are the sequence, for the same samples; null for the array that the layer reads
   */
  void allocate(OpContext context, Lane before) {
    bindSequence(context, before);
    Map<Register, INDArray> sources = new HashMap<>();
    int number = 0;
    for (ProductCalls call : calls) {
      Register source = call.products().source();
      INDArray memory =
          source == null ? null : sources.computeIfAbsent(source, key -> context.scratch(DataType.FLOAT, rows, key.width()));
      call.allocate(context, layer.name() + " product " + number++, chunked, memory);
    }
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
    initial = layer.initial().stream().map(ProductCalls::buffer).toArray(FloatBuffer[]::new);
  }

  private void bindSequence(OpContext context, Lane before) {
    int inner = layer.inner();
    INDArray source = before == null ? layer.sequence() : before.collect(context);
    sequence = session.own(new BytePointer(NativeArrays.borrowed(source)));
    if (before != null || rows == 1) {
      chunked = session.own(new memory(session.own(OneDnn.plain((long) chunk * rows, inner)), OneDnn.cpu(), sequence));
      given = chunked;
      return;
    }
    long[] dims = {chunk, rows, inner};
    memory.desc from = session.own(OneDnn.strided(dims, new long[] {inner, (long) layer.length() * inner, 1}));
    memory.desc to = session.own(OneDnn.plain(dims));
    BytePointer copy = session.own(new BytePointer(NativeArrays.borrowed(context.scratch(DataType.FLOAT, dims))));
    given = session.own(new memory(from, OneDnn.cpu(), sequence));
    chunked = session.own(new memory(session.own(OneDnn.plain((long) chunk * rows, inner)), OneDnn.cpu(), copy));
    reorder.primitive_desc found = session.own(new reorder.primitive_desc(OneDnn.cpu(), from, OneDnn.cpu(), to));
    gather =
        new Call(session, found, new reorder(found))
            .arg(DNNL_ARG_FROM, given)
            .arg(DNNL_ARG_TO, session.own(new memory(to, OneDnn.cpu(), copy)))
            .scratch(context, found)
            .step();
  }

  /** Lets the answers of all steps be kept, all samples of a step together, and returns where. */
  private INDArray collect(OpContext context) {
    INDArray all = context.scratch(DataType.FLOAT, layer.length(), rows, layer.cell().answers().get(0).width());
    answers = ProductCalls.buffer(all);
    return all;
  }

  /** Lets the node's outputs be written: the last states, then the answers. */
  void write(List<INDArray> outputs) {
    int states = layer.cell().states().size();
    finals = outputs.subList(0, states).stream().map(ProductCalls::buffer).toArray(FloatBuffer[]::new);
    answers = outputs.size() > states ? ProductCalls.buffer(outputs.get(states)) : null;
  }

  /** Returns how many chunks there are. */
  int chunks() {
    return (layer.length() + chunk - 1) / chunk;
  }

  /** Computes a chunk of steps; the chunks have to be computed in order. */
  void run(int number) {
    int length = layer.length();
    int from = number * chunk;
    // NB: the last chunk begins as early as it must to be a whole one; what it multiplies again is not used again.
    int base = Math.min(from, length - chunk);
    if (number == 0) {
      start();
    }
    int lowest = layer.reverse() ? length - base - chunk : base;
    project(lowest);
    for (int step = from; step < Math.min(length, from + chunk); step++) {
      position = layer.reverse() ? length - 1 - step : step;
      slot = position - lowest;
      for (int i = 0; i < statements.size(); i++) {
        statements.get(i).run();
      }
      advance(step);
    }
  }

  private void project(int lowest) {
    long steps = layer.sequence() == null ? (long) lowest * rows : (long) first * layer.length() + lowest;
    given.set_data_handle(sequence.position(steps * layer.inner() * Float.BYTES));
    if (gather != null) {
      gather.run();
    }
    calls.forEach(ProductCalls::project);
  }

  private void start() {
    for (int i = 0; i < initial.length; i++) {
      float[] state = numbers(layer.cell().states().get(i));
      initial[i].position(first * (state.length / rows));
      initial[i].get(state);
    }
  }

  private void advance(int step) {
    List<Register> states = layer.cell().states();
    boolean isLast = step == layer.length() - 1;
    if (answers != null) {
      keep(numbers(layer.cell().answers().get(0)), step);
    }
    for (int i = 0; i < states.size(); i++) {
      float[] next = numbers(layer.cell().next().get(i));
      if (isLast && finals != null) {
        finals[i].position(first * (next.length / rows));
        finals[i].put(next);
      } else if (!isLast && layer.carries(i) && numbers(states.get(i)) != next) {
        System.arraycopy(next, 0, numbers(states.get(i)), 0, next.length);
      }
    }
  }

  private void keep(float[] answer, int step) {
    if (finals == null) {
      answers.position(step * answer.length);
      answers.put(answer);
      return;
    }
    int width = answer.length / rows;
    for (int row = 0; row < rows; row++) {
      answers.position(((first + row) * layer.length() + step) * width);
      answers.put(answer, row * width, width);
    }
  }

  /** Prepares a product. */
  Runnable bind(Products products) {
    return calls.stream().filter(call -> call.products() == products).findFirst().orElseThrow().bind(this);
  }
}
