package io.kbridge.plan;

import io.kbridge.graph.ElementType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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

  private DividedPlan(List<Plan> lanes, Division division, Map<String, INDArray> outputs, Arena arena) {
    super(Map.of(), outputs, StepList.EMPTY, Engine.Session.NONE, arena, lanes.size());
    this.lanes = lanes;
    this.division = division;
  }

  /**
   * Puts plans together; closes them with the whole.
   *
   * @param lanes a plan for each core, for a chunk of samples
   * @param division how the batch is cut
   * @return the plan
   */
  static Plan of(List<Plan> lanes, Division division) {
    Arena arena = new Arena();
    Map<String, INDArray> outputs = new LinkedHashMap<>();
    lanes.get(0).outputs().forEach((name, part) -> outputs.put(name, whole(arena, part, division)));
    return new DividedPlan(lanes, division, outputs, arena);
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
          List<Runnable> work = new ArrayList<>();
          for (int lane = 0; lane < lanes.size(); lane++) {
            int which = lane;
            work.add(() -> run(which, dense));
          }
          Crew.share(work);
          return reader.apply(outputs());
        });
  }

  private void run(int lane, Map<String, INDArray> given) {
    for (int round = 0; round < division.rounds(); round++) {
      lanes.get(lane).runSamples(given, division.first(lane, round), outputs());
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
  public long arenaBytes() {
    return super.arenaBytes() + lanes.stream().mapToLong(Plan::arenaBytes).sum();
  }

  @Override
  void complete() {
    lanes.forEach(Plan::complete);
  }

  @Override
  void prefer() {
    lanes.get(0).prefer();
  }

  @Override
  public void close() {
    lanes.forEach(Plan::close);
    super.close();
  }
}
