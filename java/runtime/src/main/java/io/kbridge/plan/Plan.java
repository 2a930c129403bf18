package io.kbridge.plan;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A graph compiled for one set of input shapes. Not reentrant: one thread at a time, so models keep a pool of plans. Shares weights with
 * other plans, owns all other memory.
 */
public class Plan implements AutoCloseable {
  private final Map<String, INDArray> inputs;
  private final Map<String, INDArray> outputs;
  private final StepList steps;
  private final Engine.Session session;
  private final Arena arena;
  private final int threads;

  Plan(Map<String, INDArray> inputs, Map<String, INDArray> outputs, StepList steps, Engine.Session session, Arena arena, int threads) {
    this.inputs = inputs;
    this.outputs = Collections.unmodifiableMap(outputs);
    this.steps = steps;
    this.session = session;
    this.arena = arena;
    this.threads = threads;
  }

  /**
   * Runs the plan.
   *
   * @param given the inputs by name, of the shapes and types the plan was compiled for; not changed
   * @return the values the plan was compiled for, by name, in arrays of their own
   */
  public Map<String, INDArray> run(Map<String, INDArray> given) {
    return run(given, Plan::copies);
  }

  /**
   * Runs the plan and lets its values be read where they lie.
   *
   * @param given the inputs by name, of the shapes and types the plan was compiled for; not changed
   * @param reader gets the values the plan was compiled for, by name; they are the plan's own memory, to be neither changed nor kept
   * @param <T> what the reader makes of them
   * @return what the reader returned
   */
  public <T> T run(Map<String, INDArray> given, Function<Map<String, INDArray>, T> reader) {
    return Threads.with(
        threads,
        () -> {
          inputs.forEach((name, array) -> copy(given.get(name), array));
          steps.run();
          return reader.apply(outputs);
        });
  }

  /**
   * Describes the plan's steps.
   *
   * @param given the inputs by name, as for {@link #run(Map)}
   * @param runs how often to run the plan, to find out how long each step takes; 0 for not at all
   * @return what each step does, in the order they run
   */
  public List<StepInfo> describe(Map<String, INDArray> given, int runs) {
    // NB: before each run, because the memory of an input is used again after its last reader.
    Runnable prepare = () -> inputs.forEach((name, array) -> copy(given.get(name), array));
    return Threads.with(threads, () -> steps.describe(runs, prepare, session::members));
  }

  /**
   * Returns how many steps the plan has; a loop is one.
   *
   * @return the count
   */
  public int stepCount() {
    return steps.size();
  }

  /**
   * Returns on how many threads the plan runs.
   *
   * @return the count
   */
  public int threads() {
    return threads;
  }

  /**
   * Returns how much native memory the plan owns.
   *
   * @return bytes
   */
  public long arenaBytes() {
    return arena.bytes();
  }

  /**
   * Gets ready for runs that only tell how long they take.
   *
   * @param alike whether the plan that this one is compared with is compiled for the same samples and threads
   */
  void rehearse(boolean alike) {
    session.rehearse(alike);
  }

  /** Gets ready for runs of which somebody reads what they give. */
  void complete() {
    // NB: in this order, so that both are not there at once: memory that another plan alone has used, and weights.
    arena.trim();
    session.complete();
  }

  /** Returns the plan's own memory. */
  Arena arena() {
    return arena;
  }

  /** Returns the values the plan was compiled for, in its own memory. */
  Map<String, INDArray> outputs() {
    return outputs;
  }

  /** Notes that the way in which this plan was compiled is the one to start with from now on. */
  void prefer() {
    session.prefer();
  }

  /**
   * Runs the plan for some samples of a batch, on the calling thread and in the cores that it has.
   *
   * @param given the whole inputs by name, dense
   * @param first which sample to begin with
   * @param results where the values of the whole batch lie, by name
   */
  void runSamples(Map<String, INDArray> given, long first, Map<String, INDArray> results) {
    inputs.forEach((name, array) -> NativeArrays.copy(given.get(name), first * array.length() / array.size(0), array, 0, array.length()));
    steps.run();
    outputs.forEach((name, array) -> NativeArrays.copy(array, 0, results.get(name), first * array.length() / array.size(0), array.length()));
  }

  /** Gives the plan's memory back. The plan must not run again; closing again does nothing. */
  @Override
  public void close() {
    session.close();
    arena.close();
  }

  private static Map<String, INDArray> copies(Map<String, INDArray> values) {
    Map<String, INDArray> copies = new LinkedHashMap<>();
    values.forEach((name, array) -> copies.put(name, fresh(array)));
    return copies;
  }

  private static INDArray fresh(INDArray array) {
    if (array.isEmpty()) {
      return NativeArrays.empty(array.dataType(), array.shape());
    }
    return NativeArrays.copy(array);
  }

  /** Returns the array itself where its memory is its elements in order. */
  static INDArray dense(INDArray array) {
    return NativeArrays.isDense(array) ? array : array.dup('c');
  }

  private static void copy(INDArray from, INDArray to) {
    if (!to.isEmpty()) {
      NativeArrays.copy(dense(from), to);
    }
  }
}
