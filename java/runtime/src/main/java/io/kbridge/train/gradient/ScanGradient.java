package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The gradient of a {@code Scan}: another one, from the last step to the first. The forward loop also keeps the states that each step began
 * with, and the products of matrices, which take long. A step of the backward loop computes the rest of the forward step again, and sends the gradients of the new states and of the step's
 * answers back to the old states (the loop's states), to the slices (its answers), and to what the step reads of the graph around. Those of
 * all steps are added up (more states); where they are products or sums over samples, the loop answers with those operands that are no
 * sequences already, and one product or sum over all steps follows it.
 */
final class ScanGradient {
  private final GradientContext c;
  private final Emitter e;
  private final GraphBody body;
  private final int xs;
  private final int count;
  private final int axis;
  private final boolean reverse;
  private final long length;

  private final Emitter inner;
  private final Renaming names;
  // NB: parts of the backward loop, each list in the order of its operation's inputs and outputs.
  private final List<Sym> sequences = new ArrayList<>();
  private final List<Sym> slices = new ArrayList<>();
  private final List<Sym> initial = new ArrayList<>();
  private final List<Sym> bound = new ArrayList<>();

  ScanGradient(GradientContext c) {
    this.c = c;
    this.e = c.e();
    this.body = c.node().bodies().get(0);
    this.xs = c.attrs().getInt("num_xs");
    this.count = c.attrs().getInt("num_states");
    this.axis = c.attrs().getInt("axis");
    this.reverse = c.attrs().getBoolean("reverse", false);
    this.length = xs > 0 ? c.input(0).size(axis) : Math.max(0, c.attrs().getLong("length"));
    this.inner = e.inner();
    this.names = new Renaming(inner);
  }

  void write() {
    List<Sym> kept = keepStates();
    for (int i = 0; i < xs; i++) {
      // NB: what a reversed loop read first is turned to where its answers are, so that one direction fits both.
      Sym x = reverse ? ReductionRules.flip(e, c.input(i), axis) : c.input(i);
      names.bind(body.inputs().get(i).name(), slice(x));
    }
    for (int k = 0; k < count; k++) {
      Sym lifted = slice(kept.get(k));
      names.bind(body.inputs().get(xs + k).name(), inner.reshape(lifted, c.input(xs + k).shape()));
    }
    Map<String, Sym> seeds = seeds();
    List<Sym> products = kept.subList(count, kept.size()).stream().map(this::slice).collect(Collectors.toList());
    names.copy(body);
    List<Integer> captured = captured();
    List<Sym> targets = targets(captured);
    Map<String, Sym> found = backward(seeds, targets);
    readProducts(products);
    finish(captured, targets, found);
  }

  /** Has the forward loop answer with the states each step begins with. */
  private List<Sym> keepStates() {
    Emitter forward = e.inner();
    body.nodes().forEach(forward::add);
    List<String> answers = new ArrayList<>(body.outputs());
    List<ValueInfo> outputs = new ArrayList<>(c.node().outputs());
    List<Sym> kept = new ArrayList<>();
    for (int k = 0; k < count; k++) {
      ValueInfo state = body.inputs().get(xs + k);
      Sym old = new Sym(state.name(), state.type(), c.input(xs + k).shape());
      Sym lifted = forward.reshape(old, lifted(old));
      answers.add(lifted.name());
      Sym stack = new Sym(e.fresh("states"), old.type(), stacked(lifted));
      outputs.add(stack.info());
      kept.add(stack);
    }
    for (GraphNode product : products()) {
      Sym made = sym(product.outputs().get(0));
      answers.add(made.name());
      Sym stack = new Sym(e.fresh("products"), made.type(), stacked(made));
      outputs.add(stack.info());
      kept.add(stack);
    }
    GraphBody more = new GraphBody(body.name(), body.inputs(), forward.nodes(), answers);
    GraphNode node = c.node();
    Attributes attrs = node.attrs();
    c.replaceNode(new GraphNode(node.name(), node.op(), node.scope(), node.inputs(), attrs, outputs, List.of(more)));
    return kept;
  }

  private static Sym sym(ValueInfo value) {
    return new Sym(value.name(), value.type(), value.shape());
  }

  /** The nodes whose results are kept and not computed again. */
  private List<GraphNode> products() {
    return body.nodes().stream()
        .filter(node -> node.op().equals("Matmul") && node.outputs().get(0).shape().length >= axis)
        .collect(Collectors.toList());
  }

  /** Only now, when gradients have gone back through the products, are they no longer computed but read. */
  private void readProducts(List<Sym> slices) {
    List<GraphNode> products = products();
    for (int i = 0; i < slices.size(); i++) {
      String name = names.of(products.get(i).outputs().get(0).name());
      GraphNode again = inner.nodes().stream().filter(node -> node.name().equals(name)).findFirst().get();
      Attributes attrs = new Attributes(Emitter.attrs("newshape", slices.get(i).shape()), again.toString());
      inner.replace(again, new GraphNode(name, "Reshape", again.scope(), List.of(slices.get(i).name()), attrs, again.outputs()));
    }
  }

  /** The shape of a state with as many axes as an answer has to have. */
  private long[] lifted(Sym state) {
    int lead = Math.max(0, axis - state.rank());
    long[] shape = new long[lead + state.rank()];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = i < lead ? 1 : state.size(i - lead);
    }
    return shape;
  }

  private long[] stacked(Sym answer) {
    long[] shape = new long[answer.rank() + 1];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = i == axis ? length : answer.size(i < axis ? i : i - 1);
    }
    return shape;
  }

  /** Gives the backward loop a sequence; returns its slice. */
  private Sym slice(Sym sequence) {
    sequences.add(sequence);
    long[] shape = new long[sequence.rank() - 1];
    for (int i = 0; i < shape.length; i++) {
      shape[i] = sequence.size(i < axis ? i : i + 1);
    }
    Sym slice = new Sym(e.fresh("slice"), sequence.type(), shape);
    slices.add(slice);
    return slice;
  }

  /** Gives the backward loop a state; returns what it is bound to. */
  private Sym state(Sym start) {
    initial.add(start);
    Sym state = new Sym(e.fresh("state"), start.type(), start.shape());
    bound.add(state);
    return state;
  }

  /** The gradients of what the step gives: new states, and answers. Their names in the copy are not known yet. */
  private Map<String, Sym> seeds() {
    Map<String, Sym> seeds = new LinkedHashMap<>();
    for (int i = 0; i < body.outputs().size(); i++) {
      Sym output = c.output(i);
      if (output.isFloat() && (i < count || c.hasGradient(i))) {
        Sym seed = i < count ? state(c.gradient(i)) : slice(c.gradient(i));
        seeds.merge(body.outputs().get(i), seed, inner::add);
      }
    }
    return seeds;
  }

  private List<Integer> captured() {
    List<Integer> captured = new ArrayList<>();
    for (int i = xs + count; i < c.inputCount(); i++) {
      if (c.wants(i)) {
        captured.add(i);
      }
    }
    return captured;
  }

  private List<Sym> targets(List<Integer> captured) {
    List<Sym> targets = new ArrayList<>();
    for (int i = 0; i < xs + count; i++) {
      ValueInfo value = body.inputs().get(i);
      if (value.dtype().isFPType()) {
        long[] shape = i < xs ? slices.get(i).shape() : c.input(i).shape();
        targets.add(new Sym(names.of(value.name()), value.type(), shape));
      } else {
        targets.add(null);
      }
    }
    captured.forEach(i -> targets.add(c.input(i)));
    return targets;
  }

  private Map<String, Sym> backward(Map<String, Sym> seeds, List<Sym> targets) {
    List<Sym> inputs = new ArrayList<>(slices);
    inputs.addAll(bound);
    Backward backward = c.inner(inner, inputs);
    Map<String, Sym> renamed = new LinkedHashMap<>();
    seeds.forEach((name, seed) -> renamed.merge(names.of(name), seed, inner::add));
    return backward.gradients(renamed, targets.stream().filter(t -> t != null).collect(Collectors.toList()));
  }

  private void finish(List<Integer> captured, List<Sym> targets, Map<String, Sym> found) {
    List<Sym> results = new ArrayList<>();
    List<Sym> outputs = new ArrayList<>();
    List<Integer> receivers = new ArrayList<>();
    for (int k = 0; k < count; k++) {
      Sym old = targets.get(xs + k);
      if (old != null) {
        results.add(found.get(old.name()));
        outputs.add(new Sym(e.fresh("gradient"), old.type(), old.shape()));
        receivers.add(xs + k);
      }
    }
    OverSteps sums = new OverSteps(inner, slices, axis, length);
    for (int i = 0; i < slices.size() && !reverse; i++) {
      sums.know(slices.get(i), sequences.get(i));
    }
    Map<Integer, OverSteps.Sum> later = new LinkedHashMap<>();
    for (int i = 0; i < captured.size(); i++) {
      Sym value = c.input(captured.get(i));
      OverSteps.Sum after = sums.of(found.get(value.name()));
      if (after != null) {
        later.put(captured.get(i), after);
        continue;
      }
      Sym sum = state(e.full(value.type(), 0, value.shape()));
      results.add(inner.add(sum, found.get(value.name())));
      outputs.add(new Sym(e.fresh("gradient"), value.type(), value.shape()));
      receivers.add(captured.get(i));
    }
    List<Sym> stacks = new ArrayList<>();
    for (int i = 0; i < xs; i++) {
      if (c.wants(i)) {
        Sym slice = found.get(targets.get(i).name());
        results.add(slice);
        Sym stack = new Sym(e.fresh("gradients"), slice.type(), stacked(slice));
        outputs.add(stack);
        stacks.add(stack);
      }
    }
    sums.addTo(results, outputs, answer -> new Sym(e.fresh("operands"), answer.type(), stacked(answer)));
    addLoop(results, outputs);
    later.forEach((input, sum) -> c.give(input, sum.write(e)));
    for (int i = 0; i < receivers.size(); i++) {
      c.give(receivers.get(i), outputs.get(i));
    }
    int at = 0;
    for (int i = 0; i < xs; i++) {
      if (c.wants(i)) {
        c.give(i, stacks.get(at++));
      }
    }
  }

  private void addLoop(List<Sym> results, List<Sym> outputs) {
    List<Sym> inputs = new ArrayList<>(slices);
    inputs.addAll(bound);
    GraphBody loop = inner.body(e.fresh("backward"), inputs, results);
    ObjectNode attrs = Emitter.attrs().put("body", loop.name()).put("num_xs", slices.size()).put("num_states", bound.size());
    // NB: of a reversed loop, what the last step read comes first, and so does the gradient that is computed first.
    attrs.put("axis", axis).put("reverse", true).put("aligned", !reverse).put("length", length);
    List<Sym> read = new ArrayList<>(sequences);
    read.addAll(initial);
    e.add("Scan", read, attrs, outputs, List.of(loop));
  }
}
