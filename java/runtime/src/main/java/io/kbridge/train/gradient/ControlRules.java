package io.kbridge.train.gradient;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.GraphBody;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Rules of loops and branches. */
public final class ControlRules implements GradientRules {
  /** Makes the family; for the service loader. */
  public ControlRules() {}

  @Override
  public void register(RuleRegistry registry) {
    registry.rule("Scan", c -> new ScanGradient(c).write());
    registry.rule("Cond", ControlRules::branches);
    registry.rule("Switch", ControlRules::branches);
    registry.none("While", "how often it runs is not known before; use scan, or fori_loop with a fixed count");
  }

  /** The same choice of branches again, each giving the gradients of what it read. */
  private static void branches(GradientContext c) {
    List<Integer> wanted = new ArrayList<>();
    List<Sym> outputs = new ArrayList<>();
    for (int i = 1; i < c.inputCount(); i++) {
      if (c.wants(i)) {
        wanted.add(i);
        outputs.add(new Sym(c.e().fresh(c.node().op()), c.input(i).type(), c.input(i).shape()));
      }
    }
    List<GraphBody> bodies = new ArrayList<>();
    c.node().bodies().forEach(body -> bodies.add(branch(c, body, wanted)));
    ObjectNode attrs = Emitter.attrs();
    bodies.forEach(body -> attrs.withArray("bodies").add(body.name()));
    c.e().add(c.node().op(), List.of(c.input(0)), attrs, outputs, bodies);
    for (int i = 0; i < wanted.size(); i++) {
      c.give(wanted.get(i), outputs.get(i));
    }
  }

  private static GraphBody branch(GradientContext c, GraphBody body, List<Integer> wanted) {
    Emitter inner = c.e().inner();
    Renaming names = new Renaming(inner);
    names.copy(body);
    Backward backward = c.inner(inner, List.of());
    Map<String, Sym> seeds = new LinkedHashMap<>();
    for (int i = 0; i < body.outputs().size(); i++) {
      if (c.hasGradient(i)) {
        seeds.merge(names.of(body.outputs().get(i)), c.gradient(i), inner::add);
      }
    }
    List<Sym> targets = new ArrayList<>();
    wanted.forEach(i -> targets.add(c.input(i)));
    return inner.body(c.e().fresh(body.name()), List.of(), new ArrayList<>(backward.gradients(seeds, targets).values()));
  }
}
