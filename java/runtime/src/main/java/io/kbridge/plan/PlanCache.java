package io.kbridge.plan;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.function.Function;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Keeps plans for the input shapes used last, as many of each as run at once. Threads beyond the limit wait their turn: more plans than cores
 * cost memory and give nothing. Thread safe.
 */
public final class PlanCache implements AutoCloseable {
  private final PlanCompiler compiler;
  private final List<String> wanted;
  private final int signatures;
  private final Semaphore running;
  // NB: in the order of last use, so the first one is the one to drop.
  private final LinkedHashMap<Signature, Deque<Plan>> idle = new LinkedHashMap<>(16, 0.75f, true);
  private boolean closed;

  /**
   * Makes an empty cache.
   *
   * @param compiler makes the plans
   * @param wanted names of the values each plan gives
   * @param signatures for how many sets of input shapes plans are kept
   * @param concurrency how many plans may run at once
   */
  public PlanCache(PlanCompiler compiler, Collection<String> wanted, int signatures, int concurrency) {
    this.compiler = compiler;
    this.wanted = new ArrayList<>(wanted);
    this.signatures = signatures;
    // NB: not fair: handing calls over in order would cost a small model more than computing them.
    this.running = new Semaphore(concurrency);
  }

  /**
   * Runs a plan for the shapes of some inputs; compiles one if none is free.
   *
   * @param inputs the inputs by name
   * @return the wanted values by name, in arrays of their own
   */
  public Map<String, INDArray> run(Map<String, INDArray> inputs) {
    return use(inputs, plan -> plan.run(inputs));
  }

  /**
   * Runs a plan as {@link #run(Map)} does and lets the values be read where they lie.
   *
   * @param inputs the inputs by name
   * @param reader gets the wanted values by name, in the plan's own memory; see {@link Plan#run(Map, Function)}
   * @param <T> what the reader makes of them
   * @return what the reader returned
   */
  public <T> T run(Map<String, INDArray> inputs, Function<Map<String, INDArray>, T> reader) {
    return use(inputs, plan -> plan.run(inputs, reader));
  }

  /**
   * Describes the plan for the shapes of some inputs; compiles one if none is free.
   *
   * @param inputs the inputs by name
   * @param runs how often to run it; see {@link Plan#describe}
   * @return what each step does
   */
  public List<StepInfo> describe(Map<String, INDArray> inputs, int runs) {
    return use(inputs, plan -> plan.describe(inputs, runs));
  }

  private <T> T use(Map<String, INDArray> inputs, Function<Plan, T> runner) {
    boolean useEngine = compiler.engineSuits(inputs);
    Signature signature = new Signature(useEngine, inputs);
    running.acquireUninterruptibly();
    try {
      Plan plan = take(signature);
      if (plan == null) {
        plan = useEngine ? compiler.compileFastest(inputs, wanted) : compiler.compile(shapes(inputs), wanted, false);
      }
      boolean kept = false;
      try {
        T results = runner.apply(plan);
        kept = giveBack(signature, plan);
        return results;
      } finally {
        if (!kept) {
          plan.close();
        }
      }
    } finally {
      running.release();
    }
  }

  /**
   * Returns for how many sets of input shapes plans are kept now.
   *
   * @return the count
   */
  public synchronized int size() {
    return idle.size();
  }

  /** Drops all plans; those still running are dropped when they end. */
  @Override
  public synchronized void close() {
    closed = true;
    idle.values().forEach(plans -> plans.forEach(Plan::close));
    idle.clear();
  }

  /**
   * Returns the shapes of some inputs.
   *
   * @param inputs the inputs by name
   * @return their shapes by name
   */
  public static Map<String, long[]> shapes(Map<String, INDArray> inputs) {
    Map<String, long[]> shapes = new LinkedHashMap<>();
    inputs.forEach((name, array) -> shapes.put(name, array.shape()));
    return shapes;
  }

  private synchronized Plan take(Signature signature) {
    Deque<Plan> plans = idle.get(signature);
    return plans == null ? null : plans.pollLast();
  }

  private synchronized boolean giveBack(Signature signature, Plan plan) {
    if (closed) {
      return false;
    }
    idle.computeIfAbsent(signature, key -> new ArrayDeque<>()).addLast(plan);
    Iterator<Deque<Plan>> oldest = idle.values().iterator();
    while (idle.size() > signatures) {
      oldest.next().forEach(Plan::close);
      oldest.remove();
    }
    return true;
  }

  /** What a plan is made for: which inputs of which shapes, with the engine or without. */
  private static final class Signature {
    private final boolean useEngine;
    private final Object[] names;
    private final long[][] shapes;
    private final int hash;

    Signature(boolean useEngine, Map<String, INDArray> inputs) {
      this.useEngine = useEngine;
      this.names = inputs.keySet().toArray();
      this.shapes = new long[names.length][];
      int i = 0;
      for (INDArray input : inputs.values()) {
        shapes[i++] = input.shape();
      }
      this.hash = Arrays.deepHashCode(shapes);
    }

    @Override
    public boolean equals(Object other) {
      if (!(other instanceof Signature)) {
        return false;
      }
      Signature that = (Signature) other;
      return useEngine == that.useEngine && Arrays.equals(names, that.names) && Arrays.deepEquals(shapes, that.shapes);
    }

    @Override
    public int hashCode() {
      return hash;
    }
  }
}
