package io.kbridge.plan.onednn;

import io.kbridge.graph.GraphNode;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A recurrent layer with the arrays at hand: what it computes, and for how many steps. Immutable. */
final class Layer {
  private final String name;
  private final Cell cell;
  private final boolean reverse;
  private final INDArray sequence;
  private final INDArray mask;
  private final List<INDArray> initial;
  private final int length;
  private final boolean[] carried;

  private Layer(GraphNode scan, Cell cell, INDArray sequence, INDArray mask, List<INDArray> initial, int length) {
    this.name = scan.name();
    this.cell = cell;
    this.reverse = scan.attrs().getBoolean("reverse");
    this.sequence = sequence;
    this.mask = mask;
    this.initial = initial;
    this.length = length;
    this.carried = new boolean[cell.states().size()];
    for (int i = 0; i < carried.length; i++) {
      carried[i] = cell.reads(cell.states().get(i));
    }
  }

  /**
   * Reads a node.
   *
   * @param scan the node
   * @param cell its body
   * @param arrays gives arrays by name
   * @param before the layer whose answers are the sequence, or null
   * @return the layer, or null if the node is none
   */
  static Layer of(GraphNode scan, Cell cell, Function<String, INDArray> arrays, Layer before) {
    int sequences = scan.attrs().getInt("num_xs");
    INDArray sequence = before == null ? arrays.apply(scan.inputs().get(0)) : null;
    INDArray mask = sequences == 2 ? arrays.apply(scan.inputs().get(1)) : null;
    boolean fits = before != null || sequence != null && sequence.rank() == 3 && OneDnn.isFloat(sequence);
    if (!fits || scan.attrs().getInt("axis") != 1 || sequences == 2 && (mask == null || mask.rank() != 2)) {
      return null;
    }
    long samples = before == null ? sequence.size(0) : before.initial.get(0).size(0);
    long length = before == null ? sequence.size(1) : before.length;
    List<INDArray> initial = new ArrayList<>();
    for (int i = 0; i < cell.states().size(); i++) {
      INDArray state = arrays.apply(scan.inputs().get(sequences + i));
      if (state == null || !OneDnn.isFloat(state) || state.rank() != 2 || state.size(0) != samples) {
        return null;
      }
      initial.add(state);
    }
    boolean masked = mask != null && (mask.size(0) != samples || mask.size(1) != length);
    return masked || initial.isEmpty() ? null : new Layer(scan, cell, sequence, mask, initial, (int) length);
  }

  String name() {
    return name;
  }

  Cell cell() {
    return cell;
  }

  boolean reverse() {
    return reverse;
  }

  /** Returns the sequence: samples, steps, numbers; null if another layer gives it. */
  INDArray sequence() {
    return sequence;
  }

  /** Returns which steps of which samples count, or null. */
  INDArray mask() {
    return mask;
  }

  List<INDArray> initial() {
    return initial;
  }

  int samples() {
    return (int) initial.get(0).size(0);
  }

  int length() {
    return length;
  }

  /** Returns how many numbers of the sequence there are at each step. */
  int inner() {
    return cell.statements().stream()
        .filter(statement -> statement instanceof Cell.Multiply)
        .map(statement -> ((Cell.Multiply) statement).products())
        .filter(Products::hasKernel)
        .findFirst()
        .orElseThrow()
        .inner();
  }

  /** Tells whether a state is read at the next step. */
  boolean carries(int state) {
    return carried[state];
  }
}
