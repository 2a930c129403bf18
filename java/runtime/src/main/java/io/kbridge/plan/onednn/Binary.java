package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.algorithm;

import io.kbridge.graph.GraphNode;
import java.util.Map;

/** Functions of two operands, element by element: Keras's names and oneDNN's. */
final class Binary {
  private static final Map<String, algorithm> OPS =
      Map.of(
          "Add", algorithm.binary_add,
          "Subtract", algorithm.binary_sub,
          "Multiply", algorithm.binary_mul,
          "Divide", algorithm.binary_div,
          "TrueDivide", algorithm.binary_div,
          "Maximum", algorithm.binary_max,
          "Minimum", algorithm.binary_min);

  private Binary() {}

  /** Returns oneDNN's function for a node, or null. */
  static algorithm of(GraphNode node) {
    return node.inputs().size() == 2 && !node.inputs().contains(null) ? OPS.get(node.op()) : null;
  }

  /** Returns the names of these ops. */
  static Iterable<String> names() {
    return OPS.keySet();
  }

  /** Tells whether the operands may change places. */
  static boolean commutes(algorithm function) {
    return function != algorithm.binary_sub && function != algorithm.binary_div;
  }

  /**
   * Returns the operand beside a value.
   *
   * @param node a node of two operands
   * @param value one of them
   * @return the other, or null if both are that value
   */
  static String beside(GraphNode node, String value) {
    int at = node.inputs().indexOf(value);
    String other = node.inputs().get(1 - at);
    return other.equals(value) ? null : other;
  }

  /** Tells whether a node may be applied to a value, as {@code value op other}. */
  static boolean applies(GraphNode node, String value) {
    algorithm function = of(node);
    return function != null && beside(node, value) != null && (commutes(function) || node.inputs().get(0).equals(value));
  }
}
