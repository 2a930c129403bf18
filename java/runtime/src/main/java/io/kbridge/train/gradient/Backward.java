package io.kbridge.train.gradient;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Writes the gradients of some values of a graph behind the nodes that make these: reverse-mode differentiation. */
public final class Backward {
  private final Emitter emitter;
  private final RuleRegistry rules;
  private final Map<String, Sym> values;
  private final Map<String, Sym> gradients = new HashMap<>();
  private Set<String> active = Set.of();
  // NB: how gradients came that are sums of rows, and which have something else in them.
  private final Map<String, List<Sym[]>> rows = new HashMap<>();
  private final Set<String> dense = new HashSet<>();

  /**
   * Starts on a graph.
   *
   * @param emitter the writer that has the graph's nodes, and gets those of the gradients
   * @param rules the rules
   * @param given what the nodes read and none of them makes
   */
  public Backward(Emitter emitter, RuleRegistry rules, Collection<Sym> given) {
    this(emitter, rules, new HashMap<>());
    given.forEach(sym -> values.put(sym.name(), sym));
  }

  private Backward(Emitter emitter, RuleRegistry rules, Map<String, Sym> values) {
    this.emitter = emitter;
    this.rules = rules;
    this.values = values;
  }

  /**
   * Writes gradients.
   *
   * @param seeds for values of the graph, by name, the gradients to start with
   * @param targets the values whose gradients are wanted
   * @return the gradients by name of the target; zeros for one that no seed depends on
   * @throws KBridgeException UNSUPPORTED_OP, naming all of them, if gradients would have to go through ops that have no rule
   */
  public Map<String, Sym> gradients(Map<String, Sym> seeds, Collection<Sym> targets) {
    Map<String, Sym> wanted = new LinkedHashMap<>();
    targets.forEach(target -> wanted.put(target.name(), target));
    Map<String, Sym> found = part(0, seeds, wanted);
    Map<String, Sym> all = new LinkedHashMap<>();
    for (Sym target : targets) {
      Sym gradient = found.get(target.name());
      all.put(target.name(), gradient != null ? gradient : emitter.full(target.type(), 0, target.shape()));
    }
    return all;
  }

  /**
   * Tells which of the gradients are sums of rows alone, each for one row of a target: those of targets that are only read by index.
   * TensorFlow does not add these up before an optimizer sees them.
   *
   * @return by name of the target: numbers of rows, and as many rows
   */
  public Map<String, Sym[]> rows() {
    Map<String, Sym[]> all = new LinkedHashMap<>();
    rows.forEach(
        (name, parts) -> {
          List<Sym> numbers = new ArrayList<>();
          List<Sym> contents = new ArrayList<>();
          for (Sym[] part : parts) {
            numbers.add(emitter.cast(emitter.reshape(part[0], part[0].length()), ElementType.INT64));
            contents.add(part[1]);
          }
          boolean one = parts.size() == 1;
          all.put(name, new Sym[] {one ? numbers.get(0) : emitter.concatenate(numbers, 0), one ? contents.get(0) : emitter.concatenate(contents, 0)});
        });
    return all;
  }

  /**
   * Sends gradients back through the last nodes of the graph.
   *
   * @param from where those nodes begin
   * @param seeds gradients of what they give
   * @param targets what they read and is to get gradients
   * @return the gradients of the targets that depend on them
   */
  Map<String, Sym> part(int from, Map<String, Sym> seeds, Map<String, Sym> targets) {
    List<GraphNode> nodes = new ArrayList<>(emitter.nodes().subList(from, emitter.nodes().size()));
    nodes.forEach(node -> node.outputs().forEach(this::know));
    Backward inside = new Backward(emitter, rules, values);
    seeds.forEach(inside::addTo);
    inside.active = new HashSet<>(targets.keySet());
    inside.run(nodes, seeds.keySet());
    inside.gradients.keySet().retainAll(targets.keySet());
    rows.putAll(inside.rows);
    rows.keySet().removeAll(inside.dense);
    return inside.gradients;
  }

  private void run(List<GraphNode> nodes, Set<String> ends) {
    nodes.forEach(this::activate);
    List<GraphNode> path = path(nodes, ends);
    requireRules(path);
    String scope = emitter.scope();
    for (int i = path.size() - 1; i >= 0; i--) {
      GraphNode node = path.get(i);
      if (node.outputs().stream().anyMatch(output -> gradients.containsKey(output.name()))) {
        emitter.scope(node.scope());
        rules.get(node.op()).apply(new GradientContext(this, node));
      }
    }
    emitter.scope(scope);
  }

  /** Marks what depends on the targets. */
  private void activate(GraphNode node) {
    if (!rules.isZero(node.op()) && node.inputs().stream().anyMatch(active::contains)) {
      node.outputs().stream().filter(output -> output.dtype().isFPType()).forEach(output -> active.add(output.name()));
    }
  }

  /** Finds the nodes between the targets and the ends. */
  private List<GraphNode> path(List<GraphNode> nodes, Set<String> ends) {
    Set<String> needed = new HashSet<>(ends);
    List<GraphNode> path = new ArrayList<>();
    for (int i = nodes.size() - 1; i >= 0; i--) {
      GraphNode node = nodes.get(i);
      boolean on = node.outputs().stream().anyMatch(output -> needed.contains(output.name()) && active.contains(output.name()));
      if (on) {
        node.inputs().stream().filter(active::contains).forEach(needed::add);
        path.add(0, node);
      }
    }
    return path;
  }

  private void requireRules(List<GraphNode> path) {
    Map<String, Set<String>> missing = new TreeMap<>();
    for (GraphNode node : path) {
      if (!rules.contains(node.op())) {
        missing.computeIfAbsent(node.op(), op -> new HashSet<>()).add("'" + node.scope() + "'");
      }
    }
    if (!missing.isEmpty()) {
      List<String> list = new ArrayList<>();
      missing.forEach((op, scopes) -> list.add(op + " (in layers " + String.join(", ", scopes) + why(op) + ")"));
      throw new KBridgeException(
          ErrorCode.UNSUPPORTED_OP,
          "Expected ops that gradients can go back through. Received: " + String.join("; ", list)
              + ". Freeze the layers before these (trainable=False), train this part in Keras, or register rules for them"
              + " (io.kbridge.train.gradient.GradientRules).");
    }
  }

  private String why(String op) {
    return rules.refusals().containsKey(op) ? ": " + rules.refusals().get(op) : "";
  }

  Backward inner(Emitter inner, List<Sym> inputs) {
    Backward inside = new Backward(inner, rules, new HashMap<>(values));
    inputs.forEach(input -> inside.values.put(input.name(), input));
    return inside;
  }

  private void know(ValueInfo value) {
    values.put(value.name(), new Sym(value.name(), value.type(), value.shape()));
  }

  Emitter emitter() {
    return emitter;
  }

  Sym value(String name) {
    Sym value = values.get(name);
    INDArray constant = emitter.constants().get(name);
    if (value == null && constant != null) {
      return new Sym(name, ElementType.of(constant.dataType()), constant.shape());
    }
    if (value == null) {
      throw new IllegalStateException("Expected a value that is known. Received: '" + name + "'.");
    }
    return value;
  }

  Sym gradientOf(String name) {
    return gradients.get(name);
  }

  boolean isActive(String name) {
    return active.contains(name);
  }

  void addRows(String name, Sym numbers, Sym content, Sym sum) {
    rows.computeIfAbsent(name, key -> new ArrayList<>()).add(new Sym[] {numbers, content});
    gradients.merge(name, sum, emitter::add);
  }

  void addTo(String name, Sym gradient) {
    dense.add(name);
    gradients.merge(name, gradient, emitter::add);
  }

  void replace(GraphNode node, GraphNode by) {
    emitter.replace(node, by);
    by.outputs().forEach(this::know);
  }
}
