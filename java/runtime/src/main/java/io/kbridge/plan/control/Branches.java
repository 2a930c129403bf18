package io.kbridge.plan.control;

import io.kbridge.plan.CompiledBody;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntSupplier;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** {@code Cond} and {@code Switch}: one of several bodies runs. */
final class Branches {
  private Branches() {}

  /** {@code Cond}: the first body if the condition is true, otherwise the second. */
  static Step cond(OpContext context) {
    INDArray condition = context.input(0);
    ControlFlow.require(
        context,
        condition.dataType() == DataType.BOOL && condition.length() == 1,
        "a condition that is one bool",
        condition.shapeInfoToString());
    ControlFlow.requireBodies(context, 2, 0);
    return compile(context, () -> truth(condition) ? 0 : 1);
  }

  /** {@code Switch}: the body with the index's number; the nearest one if there is none. */
  static Step select(OpContext context) {
    INDArray index = context.input(0);
    int count = context.node().bodies().size();
    ControlFlow.require(
        context, index.dataType().isIntType() && index.length() == 1, "an index that is one integer", index.shapeInfoToString());
    ControlFlow.requireBodies(context, Math.max(1, count), 0);
    return compile(context, () -> (int) Math.max(0, Math.min(count - 1, index.getLong(0))));
  }

  static boolean truth(INDArray bool) {
    return bool.getInt(0) != 0;
  }

  private static Step compile(OpContext context, IntSupplier choice) {
    List<CompiledBody> bodies = new ArrayList<>();
    List<List<Copy>> copies = new ArrayList<>();
    List<INDArray> outputs = new ArrayList<>();
    int count = context.node().outputs().size();
    for (int i = 0; i < context.node().bodies().size(); i++) {
      CompiledBody body = context.body(i, List.of(), List.of(), false);
      ControlFlow.require(context, body.outputCount() == count, count + " outputs of every branch", body.outputCount());
      List<Copy> results = new ArrayList<>();
      for (int k = 0; k < count; k++) {
        INDArray result = body.output(k);
        if (i == 0) {
          outputs.add(context.allocate(k, result.shape()));
        }
        requireSame(context, k, outputs.get(k), result);
        results.add(Copy.of(result, outputs.get(k)));
      }
      bodies.add(body);
      copies.add(results);
    }
    return () -> {
      int chosen = choice.getAsInt();
      bodies.get(chosen).run();
      copies.get(chosen).forEach(Copy::run);
    };
  }

  private static void requireSame(OpContext context, int output, INDArray first, INDArray other) {
    if (!first.equalShapes(other) || first.dataType() != other.dataType()) {
      throw context.unsupported(
          "branches whose output " + output + " has one shape and type, " + first.shapeInfoToString(),
          other.shapeInfoToString(),
          "Let both branches give the same shape.");
    }
  }
}
