package io.kbridge.plan.onednn;

import io.kbridge.graph.GraphNode;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The ops that oneDNN computes, by family. */
final class Heads {
  private static final Map<String, Head> HEADS = new HashMap<>();
  private static final Set<String> WITH_LINKS = new HashSet<>();

  static {
    Convolution.register();
    InnerProduct.register();
    Product.register();
    Elementwise.register();
    Pooling.register();
    Rows.register();
    Movement.register();
    Gradients.register();
    ConvolutionGradient.register();
    BatchNormalization.register();
    alone("Scan", site -> Recurrence.lower(site.context(), List.of(site.head()), site.session()));
  }

  private Heads() {}

  /** Registers an op whose result can be changed on the way to memory. */
  static void chain(String op, Head head) {
    alone(op, head);
    WITH_LINKS.add(op);
  }

  /** Registers an op that is computed by itself. */
  static void alone(String op, Head head) {
    if (HEADS.put(op, head) != null) {
      throw new IllegalStateException("Expected each op to be registered once. Received: " + op + " again.");
    }
  }

  /** Returns what computes chains that begin with a node, or null. */
  static Head of(GraphNode node) {
    return HEADS.get(node.op());
  }

  /** Tells whether a node may begin a chain of more than one. */
  static boolean takesLinks(GraphNode node) {
    return WITH_LINKS.contains(node.op());
  }
}
