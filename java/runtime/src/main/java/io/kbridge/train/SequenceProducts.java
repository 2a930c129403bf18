package io.kbridge.train;

import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Takes products with the slices of a sequence out of loops, such as those of a recurrent layer's input with its kernel: one product of the
 * whole sequence takes less time than a small one at each step, and gradients go back through it at once.
 */
final class SequenceProducts {
  private final Emitter emitter;
  private final GraphNode node;
  private final Map<String, Sym> made;
  private final GraphBody body;
  private final int count;
  private final int axis;
  // NB: the loop as it will be.
  private final List<Sym> sequences = new ArrayList<>();
  private final List<ValueInfo> bound = new ArrayList<>();
  private final List<GraphNode> nodes;

  private SequenceProducts(Emitter emitter, GraphNode node, Map<String, Sym> made) {
    this.emitter = emitter;
    this.node = node;
    this.made = made;
    this.body = node.bodies().get(0);
    this.count = node.attrs().getInt("num_xs");
    this.axis = node.attrs().getInt("axis");
    this.nodes = new ArrayList<>(body.nodes());
  }

  /**
   * Adds a node of a model to a graph; a loop with such products follows them.
   *
   * @param emitter writes the graph
   * @param node the node, with no open sizes
   * @param made the values there are; those that the node gives are added
   */
  static void add(Emitter emitter, GraphNode node, Map<String, Sym> made) {
    if (!node.op().equals("Scan") || !new SequenceProducts(emitter, node, made).add()) {
      emitter.add(node);
    }
    node.outputs().forEach(value -> made.put(value.name(), new Sym(value.name(), value.type(), value.shape())));
  }

  private boolean add() {
    String scope = emitter.scope();
    emitter.scope(node.scope());
    List<Sym> products = new ArrayList<>();
    List<ValueInfo> results = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      for (GraphNode product : productsWith(i)) {
        nodes.remove(product);
        results.add(product.outputs().get(0));
        products.add(product(made.get(node.inputs().get(i)), made.get(product.inputs().get(1))));
      }
    }
    if (!products.isEmpty()) {
      write(products, results);
    }
    emitter.scope(scope);
    return !products.isEmpty();
  }

  /** Finds products of a sequence's slice with a matrix from outside the loop. */
  private List<GraphNode> productsWith(int sequence) {
    Set<String> inside = new HashSet<>();
    body.inputs().forEach(input -> inside.add(input.name()));
    body.nodes().forEach(other -> other.outputs().forEach(output -> inside.add(output.name())));
    ValueInfo slice = body.inputs().get(sequence);
    List<GraphNode> found = new ArrayList<>();
    for (GraphNode each : body.nodes()) {
      if (each.op().equals("Matmul") && each.inputs().get(0).equals(slice.name()) && !inside.contains(each.inputs().get(1))) {
        Sym matrix = made.get(each.inputs().get(1));
        Sym whole = made.get(node.inputs().get(sequence));
        boolean fits = matrix != null && matrix.rank() == 2 && whole != null && axis < whole.rank() - 1;
        // NB: a product is the sum of the same terms only if nothing is cast on the way.
        if (fits && matrix.type() == whole.type() && each.outputs().get(0).type() == whole.type()) {
          found.add(each);
        }
      }
    }
    return found;
  }

  private Sym product(Sym sequence, Sym matrix) {
    long inner = sequence.size(sequence.rank() - 1);
    Sym rows = emitter.reshape(sequence, sequence.length() / Math.max(1, inner), inner);
    long[] shape = sequence.shape();
    shape[shape.length - 1] = matrix.size(1);
    return emitter.reshape(emitter.matmul(rows, matrix, false, false), shape);
  }

  /** Writes the loop, with the products among its sequences, and without sequences that nothing reads any more. */
  private void write(List<Sym> products, List<ValueInfo> results) {
    Set<String> read = new HashSet<>(body.outputs());
    nodes.forEach(each -> read.addAll(each.inputs()));
    for (int i = 0; i < count; i++) {
      if (read.contains(body.inputs().get(i).name())) {
        sequences.add(made.get(node.inputs().get(i)));
        bound.add(body.inputs().get(i));
      }
    }
    sequences.addAll(products);
    bound.addAll(results);
    int xs = sequences.size();
    for (int i = count; i < body.inputs().size(); i++) {
      sequences.add(made.get(node.inputs().get(i)));
      bound.add(body.inputs().get(i));
    }
    List<Sym> outputs = new ArrayList<>();
    node.outputs().forEach(value -> outputs.add(new Sym(value.name(), value.type(), value.shape())));
    GraphBody without = new GraphBody(body.name(), bound, nodes, body.outputs());
    emitter.add("Scan", sequences, node.attrs().json().deepCopy().put("num_xs", xs), outputs, List.of(without));
  }
}
