package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_FROM;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_TO;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.Step;
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
  private final LaneMemory memory;
  private BytePointer sequence;
  private memory given;
  private memory chunked;
  private Step gather;
  private FloatBuffer[] initial;
  private FloatBuffer[] finals;
  private FloatBuffer answers;

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
    for (Cell.Statement statement : layer.cell().statements()) {
      if (statement instanceof Cell.Multiply) {
        calls.add(new ProductCalls(session, ((Cell.Multiply) statement).products(), rows, chunk));
      }
    }
    boolean isCode = LaneCode.suits(layer.cell());
    this.memory = isCode ? new LaneCode(layer.cell(), calls, rows, chunk) : new LaneArrays(layer, calls, first, rows);
  }

  /** Tells whether oneDNN has fast code for all products. */
  boolean isFound() {
    return calls.stream().allMatch(ProductCalls::isFound);
  }

  String implementation() {
    return calls.get(0).implementation() + memory.implementation();
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
    memory.allocate(context, sources);
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
      int position = layer.reverse() ? length - 1 - step : step;
      memory.run(position, position - lowest);
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
      Register state = layer.cell().states().get(i);
      initial[i].position(first * state.width());
      memory.set(state, initial[i]);
    }
  }

  private void advance(int step) {
    List<Register> states = layer.cell().states();
    boolean isLast = step == layer.length() - 1;
    if (answers != null) {
      keep(layer.cell().answers().get(0), step);
    }
    for (int i = 0; i < states.size(); i++) {
      Register next = layer.cell().next().get(i);
      if (isLast && finals != null) {
        finals[i].position(first * next.width());
        memory.get(next, 0, rows, finals[i]);
      } else if (!isLast && layer.carries(i)) {
        memory.copy(next, states.get(i));
      }
    }
  }

  private void keep(Register answer, int step) {
    int width = answer.width();
    if (finals == null) {
      answers.position(step * rows * width);
      memory.get(answer, 0, rows, answers);
      return;
    }
    for (int row = 0; row < rows; row++) {
      answers.position(((first + row) * layer.length() + step) * width);
      memory.get(answer, row, 1, answers);
    }
  }
}
