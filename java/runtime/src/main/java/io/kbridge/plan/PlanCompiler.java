package io.kbridge.plan;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Compiles a graph into plans. Nodes that nothing wanted depends on are left out; nodes that depend on constants alone are computed once for
 * all plans; memory of a value is used again after its last reader. States of the graph are given to each run beside the inputs, and what they are
 * after it is among the values that a plan is asked for. Thread safe.
 */
public final class PlanCompiler implements AutoCloseable {
  /**
   * The system property that lets cores share out the samples of a batch ({@code always}) or each operation ({@code never}), not what the clock
   * says ({@code measure}).
   */
  public static final String DIVIDE = "io.kbridge.divide";

  private final ModelGraph graph;
  private final OpRegistry registry;
  private final Engine engine;
  private final int threads;
  private final Constants constants;
  private final Map<String, INDArray> variables;
  private final boolean keepsApart;
  private final String choice = System.getProperty(DIVIDE, "measure");
  private final Dividing dividing = Dividing.of(choice);

  /**
   * Makes a compiler that compiles every node by the mapping of its op.
   *
   * @param graph the graph
   * @param arrays the content of its weights and constants
   * @param registry the ops to compile with
   * @throws KBridgeException UNSUPPORTED_OP, naming all of them, if the graph has ops the registry lacks
   */
  public PlanCompiler(ModelGraph graph, Map<String, INDArray> arrays, OpRegistry registry) {
    this(graph, arrays, registry, Engine.NONE);
  }

  /**
   * Makes a compiler of plans that use as many threads as is usual.
   *
   * @param graph the graph
   * @param arrays the content of its weights and constants
   * @param registry the ops to compile with
   * @param engine compiles what it can compute faster; closed with this compiler
   * @throws KBridgeException UNSUPPORTED_OP, naming all of them, if the graph has ops the registry lacks
   */
  public PlanCompiler(ModelGraph graph, Map<String, INDArray> arrays, OpRegistry registry, Engine engine) {
    this(graph, arrays, registry, engine, Threads.usual());
  }

  /**
   * Makes a compiler.
   *
   * @param graph the graph
   * @param arrays the content of its weights and constants
   * @param registry the ops to compile with
   * @param engine compiles what it can compute faster; closed with this compiler
   * @param threads the most that a plan may use
   * @throws KBridgeException UNSUPPORTED_OP, naming all of them, if the graph has ops the registry lacks
   */
  public PlanCompiler(ModelGraph graph, Map<String, INDArray> arrays, OpRegistry registry, Engine engine, int threads) {
    this(graph, arrays, Map.of(), registry, engine, threads);
  }

  /**
   * Makes a compiler for a graph that is run with other weights from time to time.
   *
   * @param graph the graph
   * @param arrays the content of its constants, and of those weights that never change
   * @param variables the other weights: dense arrays that plans read anew in each run, and do not write to
   * @param registry the ops to compile with
   * @param engine compiles what it can compute faster; closed with this compiler
   * @param threads the most that a plan may use
   * @throws KBridgeException UNSUPPORTED_OP, naming all of them, if the graph has ops the registry lacks
   */
  public PlanCompiler(
      ModelGraph graph, Map<String, INDArray> arrays, Map<String, INDArray> variables, OpRegistry registry, Engine engine, int threads) {
    this.graph = graph;
    this.registry = registry;
    this.engine = engine;
    this.threads = threads;
    this.variables = variables;
    this.constants = new Constants(arrays);
    // NB: a state is of all samples, and goes on once a call.
    this.keepsApart = graph.states().isEmpty() && engine.keepsSamplesApart(graph);
    requireKnownOps();
  }

  /**
   * Compiles a plan.
   *
   * @param shapes the shape of each input that is given
   * @param wanted names of the values it is to give
   * @return the plan; the caller closes it
   */
  public Plan compile(Map<String, long[]> shapes, Collection<String> wanted) {
    return compile(shapes, wanted, true);
  }

  /**
   * Compiles a plan with or without the engine.
   *
   * @param shapes the shape of each input that is given
   * @param wanted names of the values it is to give
   * @param useEngine false to compile every node by the mapping of its op
   * @return the plan; the caller closes it
   */
  public Plan compile(Map<String, long[]> shapes, Collection<String> wanted, boolean useEngine) {
    return onThreads(shapes, used -> complete(compile(Arena::new, shapes, wanted, useEngine ? engine.start() : Engine.Session.NONE, used), shapes));
  }

  /**
   * Compiles a plan in the fastest of the ways the engine has. Takes longer than {@link #compile} until that is known, because it runs plans.
   *
   * @param inputs inputs of the shapes that the plan is for
   * @param wanted names of the values it is to give
   * @return the plan; the caller closes it
   */
  public Plan compileFastest(Map<String, INDArray> inputs, Collection<String> wanted) {
    Map<String, long[]> shapes = PlanCache.shapes(inputs);
    return onThreads(shapes, used -> complete(compileFastest(inputs, wanted, used), shapes));
  }

  private Plan compileFastest(Map<String, INDArray> inputs, Collection<String> wanted, int used) {
    Map<String, long[]> shapes = PlanCache.shapes(inputs);
    if (used < threads) {
      // NB: not by the clock, which for so short runs tells how far the JVM has compiled the code.
      boolean helps = keepsApart && !choice.equals("never") && Work.isWorthHelp(graph, shapes);
      Division halves = helps ? Division.once(shapes, threads) : null;
      return halves == null ? compileWhole(inputs, wanted, used) : divide(new Arena(), halves, inputs, wanted, false);
    }
    Division division = keepsApart ? Division.of(shapes, used, engine.samplesAtATime()) : null;
    if (division != null && !dividing.isKnown(division)) {
      Plan found = chooseDivision(division.few(), division.few().samplesOf(inputs), wanted, used);
      if (division.few().rounds() == division.rounds()) {
        return found;
      }
      found.close();
    }
    boolean whole = division == null || dividing.isRefused(division);
    return whole ? compileWhole(inputs, wanted, used) : divide(new Arena(), division, inputs, wanted, true);
  }

  /** Finds out whether cores are to share out samples, or each operation; with few samples, so that it does not take long. */
  private Plan chooseDivision(Division division, Map<String, INDArray> inputs, Collection<String> wanted, int used) {
    try (Unfinished made = new Unfinished()) {
      Plan whole = made.add(compileWhole(inputs, wanted, used));
      Plan divided = made.add(divide(Arena.instead(whole.arena()), division, inputs, wanted, true));
      whole.rehearse(false);
      divided.rehearse(false);
      boolean faster = Race.isFaster(divided, whole, inputs);
      dividing.note(division, faster);
      // NB: in this order, so that what the slower plan alone has used is given back.
      (faster ? whole : divided).close();
      Plan better = faster ? divided : whole;
      better.prefer();
      return made.finish(better);
    }
  }

  private Plan divide(Arena arena, Division division, Map<String, INDArray> inputs, Collection<String> wanted, boolean waits) {
    List<Plan> lanes = new ArrayList<>();
    Map<String, long[]> shapes = division.chunkShapes(inputs);
    Supplier<Arena> memory = () -> Arena.part(arena);
    try (Unfinished made = new Unfinished()) {
      made.add(arena);
      lanes.add(made.add(Threads.onOne(() -> compileWhole(memory, division.chunkOf(inputs), wanted, 1))));
      while (lanes.size() < division.lanes()) {
        lanes.add(made.add(Threads.onOne(() -> compile(memory, shapes, wanted, engine.start(), 1))));
      }
      return made.finish(DividedPlan.of(lanes, division, waits, arena));
    }
  }

  private Plan compileWhole(Map<String, INDArray> inputs, Collection<String> wanted, int used) {
    return compileWhole(Arena::new, inputs, wanted, used);
  }

  private Plan compileWhole(Supplier<Arena> memory, Map<String, INDArray> inputs, Collection<String> wanted, int used) {
    Map<String, long[]> shapes = PlanCache.shapes(inputs);
    Engine.Session session = engine.start();
    Plan plan = compile(memory, shapes, wanted, session, used);
    Engine.Session other = session.alternative();
    if (other == null) {
      return plan;
    }
    try (Unfinished made = new Unfinished()) {
      made.add(plan);
      Plan second;
      try {
        second = made.add(compile(() -> Arena.instead(plan.arena()), shapes, wanted, other, used));
      } catch (Engine.Unsuitable e) {
        session.prefer();
        return made.finish(plan);
      }
      plan.rehearse(true);
      second.rehearse(true);
      boolean better = Race.isFaster(second, plan, inputs);
      // NB: in this order, so that what the plan alone has used is given back.
      (better ? plan : second).close();
      (better ? other : session).prefer();
      return made.finish(better ? second : plan);
    }
  }

  private Plan onThreads(Map<String, long[]> shapes, IntFunction<Plan> compilation) {
    int used = threads > 1 && Work.isSmall(graph, shapes) ? 1 : threads;
    // NB: with the threads it is to run on, because primitives are divided up when they are made. The lock comes last: a thread that has cores may want
    // a plan for a call inside of its call.
    return Threads.with(
        used,
        () -> {
          synchronized (this) {
            return compilation.apply(used);
          }
        });
  }

  private Plan compile(
      Supplier<Arena> memory, Map<String, long[]> shapes, Collection<String> wanted, Engine.Session first, int used) {
    Engine.Session session = first;
    while (true) {
      try {
        return compileOnce(memory.get(), shapes, wanted, session, used);
      } catch (Engine.Unsuitable e) {
        session = session.without(e.node());
        if (session == null) {
          throw e;
        }
      }
    }
  }

  private static Plan complete(Plan plan, Map<String, long[]> shapes) {
    boolean done = false;
    try {
      plan.complete();
      done = true;
      return plan;
    } catch (OutOfMemoryError e) {
      throw outOfMemory(shapes, e);
    } finally {
      if (!done) {
        plan.close();
      }
    }
  }

  private static KBridgeException outOfMemory(Map<String, long[]> shapes, OutOfMemoryError e) {
    return new KBridgeException(
        ErrorCode.OUT_OF_MEMORY,
        "Expected memory to compile a plan for " + describe(shapes) + ". Received: " + e.getMessage()
            + ". Use smaller batches, or raise -Xmx and -Dorg.bytedeco.javacpp.maxbytes.",
        e);
  }

  private Plan compileOnce(
      Arena arena, Map<String, long[]> shapes, Collection<String> wanted, Engine.Session session, int used) {
    boolean done = false;
    try {
      Plan plan = compile(arena, session, shapes, wanted, used);
      done = true;
      return plan;
    } catch (OutOfMemoryError e) {
      throw outOfMemory(shapes, e);
    } finally {
      if (!done) {
        session.close();
        arena.close();
      }
    }
  }

  /**
   * Tells whether plans that use the engine compute what Keras computes for some inputs: engines know NaN and infinity less well than the
   * mappings do.
   *
   * @param inputs the inputs by name
   * @return true if so
   */
  public boolean engineSuits(Map<String, INDArray> inputs) {
    return engine != Engine.NONE && inputs.values().stream().allMatch(Finite::all);
  }

  /** Gives the memory of computed constants back; no plan of this compiler may run again. */
  @Override
  public synchronized void close() {
    engine.close();
    constants.close();
  }

  private void requireKnownOps() {
    Map<String, List<String>> unknown = new TreeMap<>();
    findUnknownOps(graph.nodes(), unknown);
    if (!unknown.isEmpty()) {
      StringBuilder list = new StringBuilder();
      unknown.forEach(
          (op, scopes) -> {
            List<String> some = scopes.subList(0, Math.min(3, scopes.size()));
            list.append(list.length() == 0 ? "" : "; ").append(op).append(" (").append(scopes.size())
                .append(" in layers ").append(String.join(", ", some))
                .append(some.size() < scopes.size() ? ", ..." : "").append(")");
          });
      throw new KBridgeException(
          ErrorCode.UNSUPPORTED_OP,
          "Expected ops this runtime knows (" + registry.names().size() + " are registered). Received: " + list
              + ". Use a newer kbridge runtime, or register mappings for them (io.kbridge.plan.OpMappings).");
    }
  }

  private void findUnknownOps(List<GraphNode> nodes, Map<String, List<String>> unknown) {
    for (GraphNode node : nodes) {
      if (!registry.contains(node.op())) {
        unknown.computeIfAbsent(node.op(), op -> new ArrayList<>()).add("'" + node.scope() + "'");
      }
      node.bodies().forEach(body -> findUnknownOps(body.nodes(), unknown));
    }
  }

  private static String describe(Map<String, long[]> shapes) {
    StringBuilder text = new StringBuilder();
    shapes.forEach(
        (name, shape) -> text.append(text.length() == 0 ? "" : ", ").append(name).append(' ').append(Arrays.toString(shape)));
    return text.toString();
  }

  private Plan compile(
      Arena arena, Engine.Session session, Map<String, long[]> shapes, Collection<String> wanted, int used) {
    GraphCompiler compiler =
        new GraphCompiler(registry, constants, arena, session, false, graph.nodes(), wanted, Map.of(), (name, array) -> {});
    Map<String, INDArray> inputs = new LinkedHashMap<>();
    for (ValueInfo input : given()) {
      String name = input.name();
      if (shapes.containsKey(name)) {
        // NB: an input keeps its memory for the whole plan even if nothing reads it: it is written before the first step.
        Value value = ShapeInference.place(arena, input.type(), shapes.get(name));
        inputs.put(name, value.array());
        compiler.input(name, value);
      }
    }
    variables.forEach((name, array) -> compiler.input(name, new Value(array, null, false)));
    StepList steps = compiler.compile();
    Map<String, INDArray> outputs = new LinkedHashMap<>();
    wanted.forEach(name -> outputs.put(name, compiler.value(name).array()));
    return new Plan(inputs, outputs, steps, session, arena, used);
  }

  /** Returns what each call is given: inputs, and what the states are before it. */
  private List<ValueInfo> given() {
    List<ValueInfo> given = new ArrayList<>();
    graph.inputs().forEach(input -> given.add(input.value()));
    graph.states().values().forEach(state -> given.add(state.value()));
    return given;
  }
}
