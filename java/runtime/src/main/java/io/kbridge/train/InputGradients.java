package io.kbridge.train;

import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.GraphOutput;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import io.kbridge.plan.Engine;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Plan;
import io.kbridge.plan.PlanCompiler;
import io.kbridge.train.gradient.Backward;
import io.kbridge.train.gradient.RuleRegistry;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * The gradients of a model's inputs for given gradients of its outputs, compiled for inputs of certain shapes: how much each element of an
 * input counts. Not thread safe.
 */
public final class InputGradients implements AutoCloseable {
  private final PlanCompiler compiler;
  private final Plan plan;
  private final Map<String, String> seeds;
  private final Map<String, String> results;
  private final Set<String> ops;

  /**
   * Compiles the gradients.
   *
   * @param graph the model's graph
   * @param arrays the content of its weights and constants
   * @param shapes the shape of each input that is given
   * @param engine compiles what it can compute faster; closed with this object
   */
  public InputGradients(ModelGraph graph, Map<String, INDArray> arrays, Map<String, long[]> shapes, Engine engine) {
    OpRegistry registry = OpRegistry.load();
    List<Sym> inputs = new ArrayList<>();
    for (GraphInput input : graph.inputs()) {
      if (shapes.containsKey(input.value().name())) {
        inputs.add(new Sym(input.value().name(), input.value().type(), shapes.get(input.value().name())));
      }
    }
    List<Sym> given = new ArrayList<>(inputs);
    graph.weights().values().forEach(entry -> given.add(sym(entry.value())));
    graph.constants().values().forEach(entry -> given.add(sym(entry.value())));
    List<String> wanted = graph.outputs().stream().map(GraphOutput::value).collect(Collectors.toList());
    List<ValueInfo> infos = given.stream().map(Sym::info).collect(Collectors.toList());
    Emitter emitter = new Emitter("gradient/");
    Map<String, Sym> made = new LinkedHashMap<>();
    given.forEach(sym -> made.put(sym.name(), sym));
    for (GraphNode node : ConcreteGraph.nodes(graph.nodes(), infos, wanted, registry)) {
      SequenceProducts.add(emitter, node, made);
    }
    this.seeds = new LinkedHashMap<>();
    this.results = new LinkedHashMap<>();
    List<Sym> steps = new ArrayList<>(inputs);
    Map<String, Sym> from = new LinkedHashMap<>();
    for (String name : wanted) {
      Sym output = made.get(name);
      if (output.isFloat() && !from.containsKey(name)) {
        Sym seed = new Sym("seed/" + name, output.type(), output.shape());
        seeds.put(name, seed.name());
        from.put(name, seed);
        steps.add(seed);
      }
    }
    List<Sym> targets = inputs.stream().filter(Sym::isFloat).collect(Collectors.toList());
    Backward backward = new Backward(emitter, RuleRegistry.load(), given);
    Map<String, Sym> found = backward.gradients(from, targets);
    found.forEach((name, sym) -> results.put(name, sym.name()));
    Map<String, INDArray> all = new LinkedHashMap<>(arrays);
    all.putAll(emitter.constants());
    List<Sym> constants = given.subList(inputs.size(), given.size());
    ModelGraph whole = emitter.graph(graph.name(), steps, constants, List.of());
    this.ops = emitter.nodes().stream().map(GraphNode::op).collect(Collectors.toSet());
    this.compiler = new PlanCompiler(whole, all, registry, engine);
    Map<String, long[]> sizes = new LinkedHashMap<>();
    steps.forEach(sym -> sizes.put(sym.name(), sym.shape()));
    this.plan = compiler.compile(sizes, results.values());
  }

  private static Sym sym(ValueInfo value) {
    return new Sym(value.name(), value.type(), value.shape());
  }

  /**
   * Returns the ops that the gradients are computed with.
   *
   * @return their names
   */
  public Set<String> ops() {
    return ops;
  }

  /**
   * Returns for which values of the graph gradients are to be given.
   *
   * @return the outputs that are floating-point, in the model's order
   */
  public Set<String> outputs() {
    return seeds.keySet();
  }

  /**
   * Computes the gradients.
   *
   * @param inputs the inputs by name
   * @param gradients a gradient for each of {@link #outputs}
   * @return the gradient of each floating-point input, by its name
   */
  public Map<String, INDArray> run(Map<String, INDArray> inputs, Map<String, INDArray> gradients) {
    Map<String, INDArray> all = new LinkedHashMap<>(inputs);
    gradients.forEach((name, array) -> all.put(seeds.get(name), array));
    Map<String, INDArray> values = plan.run(all);
    Map<String, INDArray> found = new LinkedHashMap<>();
    results.forEach((name, value) -> found.put(name, values.get(value)));
    return found;
  }

  /** Gives the memory back. */
  @Override
  public void close() {
    plan.close();
    compiler.close();
  }
}
