package io.kbridge.plan;

import io.kbridge.graph.ElementType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A plan for a whole batch that is made of plans for a few samples, one for each core. Each core takes its samples through all steps, some at
 * a time, so that nothing waits for another core between steps, and what one step writes is in the core's own cache when the next one reads it.
 */
final class DividedPlan extends Plan {
  private final List<Plan> lanes;
  private final Division division;
  private final boolean waits;

  private DividedPlan(List<Plan> lanes, Division division, boolean waits, Map<String, INDArray> outputs, Arena arena) {
    super(Map.of(), outputs, StepList.EMPTY, Engine.Session.NONE, arena, waits ? lanes.size() : 1);
    this.lanes = lanes;
    this.division = division;
    this.waits = waits;
  }

  /**
   * Puts plans together; closes them with the whole.
   *
   * @param lanes a plan for each core, for a chunk of samples
   * @param division how the batch is cut
   * @param waits whether a call waits for its cores; otherwise it has what is free
   * @param arena the memory that those of the lanes are parts of
   * @return the plan
   */
  static Plan of(List<Plan> lanes, Division division, boolean waits, Arena arena) {
    Map<String, INDArray> outputs = new LinkedHashMap<>();
    lanes.get(0).outputs().forEach((name, part) -> outputs.put(name, whole(arena, part, division)));
    return new DividedPlan(lanes, division, waits, outputs, arena);
  }

  private static INDArray whole(Arena arena, INDArray part, Division division) {
    long[] shape = part.shape().clone();
    shape[0] = division.samples();
    return ShapeInference.place(arena, ElementType.of(part.dataType()), shape).array();
  }

  @Override
  public <T> T run(Map<String, INDArray> given, Function<Map<String, INDArray>, T> reader) {
    return Threads.with(
        threads(),
        () -> {
          Map<String, INDArray> dense = new LinkedHashMap<>();
          given.forEach((name, array) -> dense.put(name, dense(array)));
          AtomicInteger next = new AtomicInteger();
          List<Runnable> work = new ArrayList<>();
          lanes.forEach(lane -> work.add(() -> run(lane, next, dense)));
          share(work);
          return reader.apply(outputs());
        });
  }

  private void share(List<Runnable> work) {
    if (waits) {
      Threads.onOne(
          () -> {
            Crew.offer(work, true);
            return null;
          });
    } else if (!Threads.withFree(work.size(), () -> Crew.offer(work, false))) {
      work.get(0).run();
    }
  }

  /** Takes chunk after chunk, until there are none left. Which core has which does not matter: all lanes compute the same. */
  private void run(Plan lane, AtomicInteger next, Map<String, INDArray> given) {
    for (int chunk = next.getAndIncrement(); chunk < division.chunks(); chunk = next.getAndIncrement()) {
      lane.runSamples(given, division.first(chunk), outputs());
    }
  }

  @Override
  public List<StepInfo> describe(Map<String, INDArray> given, int runs) {
    String part = ", " + division.chunk() + " of " + division.samples() + " samples on a core";
    return lanes.get(0).describe(division.chunkOf(given), runs).stream().map(step -> step.noting(part)).collect(Collectors.toList());
  }

  @Override
  public int stepCount() {
    return lanes.get(0).stepCount();
  }

  @Override
  void rehearse(boolean alike) {
    lanes.forEach(lane -> lane.rehearse(alike));
  }

  @Override
  void complete() {
    super.complete();
    lanes.forEach(Plan::complete);
  }

  @Override
  void prefer() {
    Threads.onOne(
        () -> {
          lanes.get(0).prefer();
          return null;
        });
  }

  @Override
  public void close() {
    lanes.forEach(Plan::close);
    super.close();
  }
}
