package io.kbridge.train.gradient;

import io.kbridge.graph.GraphNode;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/** Sums over the steps of a loop that are computed behind it: products over samples, and sums over samples, become ones over all steps. */
final class OverSteps {
  private final int axis;
  private final long length;
  private final Map<String, GraphNode> makers = new HashMap<>();
  private final Map<String, Sym> known = new HashMap<>();
  // NB: what the loop has to answer with, and the stack of it.
  private final Map<String, Sym> answers = new LinkedHashMap<>();
  private final Map<String, Sym> stacks = new HashMap<>();

  /** What is computed behind the loop. */
  @FunctionalInterface
  interface Sum {
    Sym write(Emitter e);
  }

  /**
   * Starts on a loop.
   *
   * @param inner the loop's body
   * @param inputs what is bound in it
   * @param axis where the steps are in a stack of answers
   * @param length how many steps there are
   */
  OverSteps(Emitter inner, List<Sym> inputs, int axis, long length) {
    this.axis = axis;
    this.length = length;
    inputs.forEach(input -> known.put(input.name(), input));
    inner.nodes().forEach(node -> node.outputs().forEach(output -> makers.put(output.name(), node)));
    inner.nodes().forEach(node -> node.outputs().forEach(output -> known.put(output.name(), sym(output.name(), node))));
  }

  /** Tells of a stack that there is already, in the order of the answers. */
  void know(Sym slice, Sym stack) {
    stacks.put(slice.name(), stack);
  }

  private void answer(Sym value) {
    if (!stacks.containsKey(value.name())) {
      answers.put(value.name(), value);
    }
  }

  private static Sym sym(String name, GraphNode node) {
    return node.outputs().stream()
        .filter(output -> output.name().equals(name))
        .map(output -> new Sym(name, output.type(), output.shape()))
        .findFirst()
        .get();
  }

  /** Finds a way to compute the sum of a gradient over all steps behind the loop; null if there is none. */
  Sum of(Sym gradient) {
    GraphNode node = makers.get(gradient.name());
    if (node == null || axis > 1) {
      return null;
    }
    if (node.op().equals("TransposedMatmul") && node.attrs().getBoolean("transpose_x1") && !node.attrs().getBoolean("transpose_x2")) {
      Sym x = known.get(node.inputs().get(0));
      Sym y = known.get(node.inputs().get(1));
      if (x == null || y == null || x.rank() != 2 || y.rank() != 2) {
        return null;
      }
      answer(x);
      answer(y);
      return e -> e.matmul(rows(e, x), rows(e, y), true, false);
    }
    if (node.op().equals("Sum") && gradient.rank() == 1 && !node.attrs().getBoolean("keepdims") && isFirst(node)) {
      Sym x = known.get(node.inputs().get(0));
      if (x == null || x.rank() != 2) {
        return null;
      }
      answer(x);
      return e -> e.sum(rows(e, x), false, 0);
    }
    return null;
  }

  private static boolean isFirst(GraphNode node) {
    long[] axes = node.attrs().getLongs("axis");
    return axes.length == 1 && axes[0] == 0;
  }

  /** All samples of all steps, one after the other. */
  private Sym rows(Emitter e, Sym answer) {
    return e.reshape(stacks.get(answer.name()), answer.size(0) * length, answer.size(1));
  }

  /** Adds the answers to those of the loop. */
  void addTo(List<Sym> results, List<Sym> outputs, Function<Sym, Sym> stack) {
    answers.values().forEach(
        answer -> {
          Sym made = stack.apply(answer);
          stacks.put(answer.name(), made);
          results.add(answer);
          outputs.add(made);
        });
  }
}
