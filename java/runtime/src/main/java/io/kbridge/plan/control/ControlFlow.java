package io.kbridge.plan.control;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;

/** The operations that run bodies. */
public final class ControlFlow implements OpMappings {
  /** Makes the family; for the service loader. */
  public ControlFlow() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("Scan", Scan::compile);
    registry.op("While", While::compile);
    registry.op("Cond", Branches::cond);
    registry.op("Switch", Branches::select);
  }

  /** Fails unless a node is put together as its op's definition says. */
  static void require(OpContext context, boolean good, String expected, Object received) {
    if (!good) {
      throw new KBridgeException(
          ErrorCode.BUNDLE_FORMAT,
          "Expected " + expected + " at " + context.node() + ". Received: " + received + ". Export the model again.");
    }
  }

  /** Fails unless a node has so many bodies, each with so many inputs. */
  static void requireBodies(OpContext context, int bodies, int inputs) {
    int given = context.node().bodies().size();
    require(context, given == bodies, bodies + " bodies", given);
    context.node().bodies().forEach(
        body -> require(
            context, body.inputs().size() == inputs, inputs + " inputs of graph '" + body.name() + "'", body.inputs().size()));
  }
}
