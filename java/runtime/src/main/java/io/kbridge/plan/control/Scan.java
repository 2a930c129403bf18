package io.kbridge.plan.control;

import io.kbridge.plan.CompiledBody;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.List;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * {@code Scan}: a body runs once for each position of an axis, from states to states. Answers follow each other as the steps do; if they are
 * {@code aligned}, each lies where its step read the sequences, which differs in a reversed loop.
 */
final class Scan implements Step {
  private final long length;
  private final boolean reverse;
  private final boolean aligned;
  private final CompiledBody body;
  private final LoopStates states;
  private final Slices[] slices;
  private final Slices[] answers;
  private final Runnable loop = this::loop;

  private Scan(OpContext context, int sequences, int count) {
    int axis = context.attrs().getInt("axis");
    reverse = context.attrs().getBoolean("reverse");
    aligned = context.attrs().getBoolean("aligned", false);
    length = length(context, sequences, axis);
    List<INDArray> inputs = new ArrayList<>();
    for (int i = 0; i < sequences; i++) {
      inputs.add(context.scratch(context.input(i).dataType(), without(context.input(i).shape(), axis)));
    }
    states = new LoopStates(context, sequences, count);
    inputs.addAll(states.arrays());
    body = context.body(0, inputs, states.arrays(), true);
    states.bind(body, sequences, true);
    List<Slices> read = new ArrayList<>();
    for (int i = 0; i < sequences; i++) {
      if (body.reads(i)) {
        read.add(new Slices(context.input(i), axis, inputs.get(i)));
      }
    }
    slices = read.toArray(new Slices[0]);
    answers = new Slices[body.outputCount() - count];
    for (int i = 0; i < answers.length; i++) {
      INDArray answer = body.output(count + i);
      ControlFlow.require(context, axis <= answer.rank(), "answers of rank " + axis + " or more", answer.rank());
      answers[i] = new Slices(context.allocate(count + i, with(answer.shape(), axis, length)), axis, answer);
    }
  }

  static Step compile(OpContext context) {
    int sequences = context.attrs().getInt("num_xs");
    int states = context.attrs().getInt("num_states");
    int outputs = context.node().outputs().size();
    int inputs = context.inputCount();
    ControlFlow.require(
        context, sequences >= 0 && states >= 0 && inputs >= sequences + states, "its sequences and states", inputs + " inputs");
    ControlFlow.requireBodies(context, 1, sequences + states);
    int given = context.node().bodies().get(0).outputs().size();
    ControlFlow.require(
        context, outputs >= states && outputs == given, "an output for each state and answer", outputs + " for " + given);
    return new Scan(context, sequences, states);
  }

  @Override
  public void run() {
    OneThread.run(body, loop);
  }

  private void loop() {
    states.start();
    if (length > 0) {
      body.prepare();
    }
    for (long step = 0; step < length; step++) {
      long position = reverse ? length - 1 - step : step;
      for (Slices sequence : slices) {
        sequence.read(position);
      }
      body.run();
      for (Slices answer : answers) {
        answer.write(aligned ? position : step);
      }
      if (step == length - 1) {
        states.finish();
      }
      states.advance();
    }
  }

  private static long length(OpContext context, int sequences, int axis) {
    if (sequences == 0) {
      return Math.max(0, context.dim("length"));
    }
    long length = -1;
    for (int i = 0; i < sequences; i++) {
      INDArray sequence = context.input(i);
      ControlFlow.require(
          context, axis >= 0 && axis < sequence.rank(), "sequences with an axis " + axis, "rank " + sequence.rank());
      ControlFlow.require(
          context, length < 0 || length == sequence.size(axis), "sequences of one length, " + length, sequence.size(axis));
      length = sequence.size(axis);
    }
    return length;
  }

  private static long[] without(long[] shape, int axis) {
    long[] rest = new long[shape.length - 1];
    System.arraycopy(shape, 0, rest, 0, axis);
    System.arraycopy(shape, axis + 1, rest, axis, rest.length - axis);
    return rest;
  }

  private static long[] with(long[] shape, int axis, long size) {
    long[] more = new long[shape.length + 1];
    System.arraycopy(shape, 0, more, 0, axis);
    more[axis] = size;
    System.arraycopy(shape, axis, more, axis + 1, shape.length - axis);
    return more;
  }
}
