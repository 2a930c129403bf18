package io.kbridge.plan;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.GraphNode;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;

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

  /**
   * Describes all steps.
   *
   * @param runs how often to run them all, to find out how long each takes; may be 0
   * @param prepare is called before each time
   * @param members tells which nodes of the graph one is made of
   */
  List<StepInfo> describe(int runs, Runnable prepare, Function<GraphNode, List<GraphNode>> members) {
    double[] shortest = new double[steps.length];
    Arrays.fill(shortest, runs == 0 ? Double.NaN : Double.POSITIVE_INFINITY);
    for (int run = 0; run < runs; run++) {
      prepare.run();
      for (int i = 0; i < steps.length; i++) {
        long start = System.nanoTime();
        steps[i].run();
        shortest[i] = Math.min(shortest[i], (System.nanoTime() - start) / 1e3);
      }
    }
    List<StepInfo> infos = new ArrayList<>();
    for (int i = 0; i < steps.length; i++) {
      infos.add(new StepInfo(contexts[i].node(), members.apply(contexts[i].node()), steps[i], shortest[i]));
    }
    return infos;
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
