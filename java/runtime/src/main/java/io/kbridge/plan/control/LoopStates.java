package io.kbridge.plan.control;

import io.kbridge.plan.CompiledBody;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import java.util.ArrayList;
import java.util.List;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The states of a loop. They lie in the memory of the node's first outputs, so the last ones are the answer; a body computes its new states
 * right there where it can, and what lies elsewhere is copied after each step.
 */
final class LoopStates {
  private final OpContext context;
  private final List<INDArray> states = new ArrayList<>();
  private final List<Copy> initial = new ArrayList<>();
  private final List<Copy> afterLast = new ArrayList<>();
  private final List<Copy> afterEach = new ArrayList<>();

  /**
   * Gives the states memory.
   *
   * @param context the node
   * @param first the input that is the first initial state
   * @param count how many states there are
   */
  LoopStates(OpContext context, int first, int count) {
    this.context = context;
    for (int i = 0; i < count; i++) {
      INDArray start = context.input(first + i);
      states.add(context.allocate(i, start.shape()));
      initial.add(Copy.of(start, states.get(i)));
    }
  }

  /** Returns where the states are. */
  List<INDArray> arrays() {
    return states;
  }

  /**
   * Prepares what has to be copied after a step.
   *
   * @param body the step
   * @param firstInput the body's input that is the first state
   * @param lastStepKnown whether {@link #finish} will be called
   */
  void bind(CompiledBody body, int firstInput, boolean lastStepKnown) {
    List<Integer> moved = new ArrayList<>();
    for (int i = 0; i < states.size(); i++) {
      INDArray next = body.output(i);
      INDArray state = states.get(i);
      ControlFlow.require(
          context,
          next.equalShapes(state) && next.dataType() == state.dataType(),
          "state " + i + " to keep its shape and type, " + state.shapeInfoToString(),
          next.shapeInfoToString());
      if (lastStepKnown && !body.reads(firstInput + i) && !NativeArrays.overlap(next, state)) {
        afterLast.add(Copy.of(next, state));
      } else if (!NativeArrays.overlap(next, state)) {
        moved.add(i);
      }
    }
    // NB: a state may become what another one was, so those that would be overwritten before they are read go by way of a copy.
    List<Copy> second = new ArrayList<>();
    for (int i : moved) {
      INDArray next = body.output(i);
      INDArray state = states.get(i);
      if (moved.stream().anyMatch(other -> NativeArrays.overlap(next, states.get(other)))) {
        INDArray between = context.scratch(state.dataType(), state.shape());
        afterEach.add(Copy.of(next, between));
        second.add(Copy.of(between, state));
      } else {
        second.add(Copy.of(next, state));
      }
    }
    afterEach.addAll(second);
  }

  /** Takes the initial states. */
  void start() {
    initial.forEach(Copy::run);
  }

  /** Copies what only the last step has to leave; before {@link #advance}. */
  void finish() {
    run(afterLast);
  }

  /** Makes the new states the current ones. */
  void advance() {
    run(afterEach);
  }

  private static void run(List<Copy> copies) {
    for (int i = 0; i < copies.size(); i++) {
      copies.get(i).run();
    }
  }
}
