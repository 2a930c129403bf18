package io.kbridge.train;

import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.GraphOutput;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.StepGraph;
import io.kbridge.graph.ValueInfo;
import io.kbridge.graph.VariableUpdate;
import io.kbridge.plan.Engine;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Plan;
import io.kbridge.plan.PlanCache;
import io.kbridge.plan.PlanCompiler;
import io.kbridge.plan.StepInfo;
import io.kbridge.plan.Threads;
import io.kbridge.train.gradient.Backward;
import io.kbridge.train.gradient.RuleRegistry;
import io.kbridge.train.optimizer.RowGradient;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * A step compiled for inputs of certain shapes: the forward pass, what variables are given, and for training the gradients. A run reads the
 * variables and changes none of them. Not thread safe.
 */
final class StepPlan implements AutoCloseable {
  private final PlanCompiler compiler;
  private final Plan plan;
  private final Map<String, String> gradients = new LinkedHashMap<>();
  private final Map<String, String[]> rows = new LinkedHashMap<>();
  // NB: an input beside those of the step, for training only.
  private final Map<String, INDArray> scale = new LinkedHashMap<>();
  private final List<VariableUpdate> assigned = new ArrayList<>();
  private final Map<String, INDArray> variables;
  // NB: bound in the first run; values lie where they lay then.
  private Updates updates;

  /** What all steps of a trainer are compiled from. */
  static final class Parts {
    private final Map<String, INDArray> variables;
    private final OpRegistry registry;
    private final RuleRegistry rules;

    Parts(Map<String, INDArray> variables, OpRegistry registry, RuleRegistry rules) {
      this.variables = variables;
      this.registry = registry;
      this.rules = rules;
    }

    Map<String, INDArray> variables() {
      return variables;
    }

    OpRegistry registry() {
      return registry;
    }
  }

  /**
   * Compiles a step.
   *
   * @param parts what is the same for all steps
   * @param step the step
   * @param constants the content of its graph's constants
   * @param trained the weights whose gradients are wanted; none for evaluation
   * @param inputs inputs of the shapes that the plan is for
   * @param engine compiles what it can compute faster; closed with this plan
   */
  StepPlan(
      Parts parts, StepGraph step, Map<String, INDArray> constants, Collection<String> trained, Map<String, INDArray> inputs, Engine engine) {
    ModelGraph graph = step.graph();
    variables = parts.variables;
    assigned.addAll(step.metricUpdates());
    assigned.addAll(step.updates());
    List<Sym> fed = new ArrayList<>();
    inputs.forEach((name, array) -> fed.add(sym(name, array)));
    Map<String, Sym> given = new LinkedHashMap<>();
    fed.forEach(input -> given.put(input.name(), input));
    parts.variables.forEach((name, array) -> given.put(name, sym(name, array)));
    constants.forEach((name, array) -> given.put(name, sym(name, array)));
    Set<String> wanted = wanted(step);
    List<ValueInfo> infos = given.values().stream().map(Sym::info).collect(Collectors.toList());
    Emitter emitter = new Emitter("gradient/");
    Map<String, Sym> made = new LinkedHashMap<>(given);
    for (GraphNode node : ConcreteGraph.nodes(graph.nodes(), infos, wanted, parts.registry)) {
      SequenceProducts.add(emitter, node, made);
    }
    if (!trained.isEmpty()) {
      Sym loss = made.get(step.loss());
      Sym seed = new Sym(emitter.fresh("loss_scale"), loss.type(), loss.shape());
      fed.add(seed);
      scale.put(seed.name(), Nd4j.scalar(seed.type().dataType(), 1));
      Backward backward = new Backward(emitter, parts.rules, given.values());
      write(backward, emitter, step, made, seed, trained);
    }
    Map<String, INDArray> all = new LinkedHashMap<>(constants);
    all.putAll(emitter.constants());
    List<Sym> read = new ArrayList<>(given.values());
    read.removeAll(fed);
    compiler = new PlanCompiler(emitter.graph(graph.name(), fed, read, List.of()), all, parts.variables, parts.registry, engine, Threads.usual());
    Map<String, INDArray> examples = all(inputs, 1);
    wanted.addAll(gradients.values());
    rows.values().forEach(pair -> wanted.addAll(List.of(pair)));
    plan = compiler.engineSuits(inputs) ? compiler.compileFastest(examples, wanted) : compiler.compile(PlanCache.shapes(examples), wanted, false);
  }

  private static Set<String> wanted(StepGraph step) {
    Set<String> wanted = new LinkedHashSet<>();
    wanted.add(step.loss());
    step.losses().forEach(loss -> wanted.add(loss.value()));
    step.updates().forEach(update -> wanted.add(update.value()));
    step.metricUpdates().forEach(update -> wanted.add(update.value()));
    step.graph().outputs().stream().map(GraphOutput::value).forEach(wanted::add);
    return wanted;
  }

  /** A weight that the forward pass assigns to has readers of the old value and of the new one: its gradient is the sum of both. */
  private void write(
      Backward backward, Emitter emitter, StepGraph step, Map<String, Sym> made, Sym seed, Collection<String> trained) {
    Set<Sym> targets = new LinkedHashSet<>();
    trained.forEach(name -> targets.add(made.get(name)));
    List<VariableUpdate> ofTrained = step.updates().stream().filter(update -> trained.contains(update.variable())).collect(Collectors.toList());
    ofTrained.forEach(update -> targets.add(made.get(update.value())));
    Map<String, Sym> found = backward.gradients(Map.of(step.loss(), seed), targets);
    backward.rows().forEach((name, parts) -> rows.put(name, new String[] {parts[0].name(), parts[1].name()}));
    ofTrained.forEach(update -> rows.remove(update.variable()));
    for (String name : trained) {
      Sym sum = found.get(name);
      for (VariableUpdate update : ofTrained) {
        sum = update.variable().equals(name) ? emitter.add(sum, found.get(update.value())) : sum;
      }
      gradients.put(name, sum.name());
    }
  }

  static Sym sym(String name, INDArray array) {
    return new Sym(name, ElementType.of(array.dataType()), array.shape());
  }

  /**
   * Runs the step.
   *
   * @param inputs inputs of the shapes the plan was compiled for
   * @param lossScale what the loss counts as many times of
   * @param reader is given the values of the step where they lie; they are good until the next run
   * @return what the reader returns
   */
  <T> T run(Map<String, INDArray> inputs, float lossScale, Function<Map<String, INDArray>, T> reader) {
    return plan.run(all(inputs, lossScale), reader);
  }

  private Map<String, INDArray> all(Map<String, INDArray> inputs, float lossScale) {
    Map<String, INDArray> all = new LinkedHashMap<>(inputs);
    scale.forEach((name, number) -> all.put(name, number.assign(lossScale)));
    return all;
  }

  /** Gives variables what the step has computed for them. */
  void update(Map<String, INDArray> values) {
    if (updates == null) {
      updates = new Updates(assigned, values, variables);
    }
    updates.run();
  }

  /** Finds the gradients among the step's values. */
  Map<String, INDArray> gradients(Map<String, INDArray> values) {
    Map<String, INDArray> found = new LinkedHashMap<>();
    gradients.forEach((weight, value) -> found.put(weight, values.get(value)));
    return found;
  }

  /** Finds the gradients of weights that are only read by index, before their rows are added up. */
  Map<String, RowGradient> rows(Map<String, INDArray> values) {
    Map<String, RowGradient> found = new LinkedHashMap<>();
    rows.forEach((weight, parts) -> found.put(weight, new RowGradient(values.get(parts[0]), values.get(parts[1]))));
    return found;
  }

  /** Describes the plan's steps. */
  List<StepInfo> describe(Map<String, INDArray> inputs, int runs) {
    return plan.describe(all(inputs, 1), runs);
  }

  @Override
  public void close() {
    plan.close();
    compiler.close();
  }
}
