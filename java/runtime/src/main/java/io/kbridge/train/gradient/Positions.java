package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.ElementType;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import org.nd4j.linalg.factory.Nd4j;

/**
 * Gradients of ops that only move elements, whatever they do: the op is run on the numbers of its input's elements, which tells where each
 * element of the output comes from, and gradients are added up there.
 */
final class Positions {
  private Positions() {}

  /**
   * The rule.
   *
   * @param i the input whose elements are moved; the others say how
   */
  static GradientRule rule(int i) {
    return c -> c.give(i, gather(c, i));
  }

  private static Sym gather(GradientContext c, int i) {
    Emitter e = c.e();
    Sym x = c.input(i);
    // NB: numbered from 1, so that 0 is what the op fills gaps with; it falls on a place of its own, which is cut off.
    Sym numbers = e.reshape(e.constant(Nd4j.createFromArray(LongStream.rangeClosed(1, x.length()).toArray())), x.shape());
    List<Sym> inputs = new ArrayList<>();
    for (int k = 0; k < c.inputCount(); k++) {
      inputs.add(k == i ? numbers : c.hasInput(k) ? c.input(k) : null);
    }
    ObjectNode attrs = c.attrs().json().deepCopy();
    if (attrs.has("constant_values")) {
      attrs.put("constant_values", 0);
    }
    Sym from = e.node(c.node().op(), inputs, attrs, ElementType.INT64, c.output(0).shape());
    Sym sums = addUp(e, e.reshape(c.gradient(0), c.output(0).length(), 1), from, x.length() + 1);
    return e.reshape(e.slice(sums, 0, 1, x.length()), x.shape());
  }

  /** Adds rows up in as many rows as asked for, each at its number. */
  static Sym addUp(Emitter e, Sym rows, Sym numbers, long count) {
    return e.node(
        "SegmentSum",
        List.of(rows, e.reshape(numbers, numbers.length())),
        Emitter.attrs().put("num_segments", count),
        rows.type(),
        count,
        rows.size(1));
  }
}
