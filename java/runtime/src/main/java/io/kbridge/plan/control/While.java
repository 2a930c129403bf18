package io.kbridge.plan.control;

import io.kbridge.plan.CompiledBody;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.Step;
import java.util.List;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** {@code While}: one body tells whether to go on, the other makes new states of the states. */
final class While {
  private While() {}

  static Step compile(OpContext context) {
    int count = context.attrs().getInt("num_states");
    int outputs = context.node().outputs().size();
    ControlFlow.require(context, count >= 0 && outputs == count, count + " outputs", outputs);
    ControlFlow.require(context, context.inputCount() >= count, count + " states", context.inputCount() + " inputs");
    ControlFlow.requireBodies(context, 2, count);
    LoopStates states = new LoopStates(context, 0, count);
    CompiledBody condition = context.body(0, states.arrays(), List.of(), true);
    CompiledBody body = context.body(1, states.arrays(), states.arrays(), true);
    ControlFlow.require(context, condition.outputCount() == 1, "a condition with one output", condition.outputCount());
    ControlFlow.require(context, body.outputCount() == count, "an output for each state", body.outputCount());
    INDArray goOn = condition.output(0);
    ControlFlow.require(
        context, goOn.dataType() == DataType.BOOL && goOn.length() == 1, "a condition that is one bool", goOn.shapeInfoToString());
    states.bind(body, 0, false);
    Runnable loop = () -> {
      states.start();
      condition.prepare();
      body.prepare();
      for (condition.run(); Branches.truth(goOn); condition.run()) {
        body.run();
        states.advance();
      }
    };
    return () -> OneThread.run(body, loop);
  }
}
