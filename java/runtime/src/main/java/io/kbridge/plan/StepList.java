package io.kbridge.plan;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.util.ArrayList;
import java.util.List;

/** Steps in the order they run, each with the node it computes, for messages. */
final class StepList {
  static final StepList EMPTY = new Builder().build();

  private final Step[] steps;
  private final NodeContext[] contexts;

  private StepList(Builder builder) {
    steps = builder.steps.toArray(new Step[0]);
    contexts = builder.contexts.toArray(new NodeContext[0]);
  }

  /** Runs all steps; what fails is told with its node. */
  void run() {
    int at = 0;
    try {
      for (; at < steps.length; at++) {
        steps[at].run();
      }
    } catch (KBridgeException e) {
      throw e;
    } catch (RuntimeException e) {
      throw contexts[at].failed("to run", e);
    } catch (OutOfMemoryError e) {
      throw new KBridgeException(
          ErrorCode.OUT_OF_MEMORY,
          "Expected memory to run " + contexts[at].node() + ". Received: " + e.getMessage()
              + ". Use smaller batches, or raise -Xmx and -Dorg.bytedeco.javacpp.maxbytes.",
          e);
    }
  }

  int size() {
    return steps.length;
  }

  /** Collects steps. */
  static final class Builder {
    private final List<Step> steps = new ArrayList<>();
    private final List<NodeContext> contexts = new ArrayList<>();

    /** Adds the step of a node; null adds nothing. */
    void add(Step step, NodeContext context) {
      if (step != null) {
        steps.add(step);
        contexts.add(context);
      }
    }

    StepList build() {
      return new StepList(this);
    }
  }
}
