package io.kbridge.plan.onednn;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.Crew;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Threads;
import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.function.Function;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Recurrent layers, one or several on top of each other. Each core takes some samples of the batch through all layers and steps, or, with
 * one sample, some of the layers, each a few steps behind the one before. So the cores wait for each other rarely, and each keeps its
 * weights in the cache next to it; a primitive of oneDNN for the whole layer would share out every single step.
 */
final class Recurrence implements Step {
  // NB: few, so that a layer begins soon after the one before; many, so that the sequence's products are efficient.
  private static final int CHUNK = 10;
  private static final long MOST_NUMBERS = 1L << 28;

  private final List<Lane[]> parts;
  private final int threads;
  private final String implementation;
  private final List<Runnable> work = new ArrayList<>();
  private final AtomicIntegerArray done;

  private Recurrence(List<Lane[]> parts, int threads) {
    this.parts = parts;
    this.threads = threads;
    int layers = parts.get(0).length;
    implementation =
        "oneDNN " + parts.get(0)[0].implementation() + " at each step, " + (work(layers) == 1 ? "1 thread" : work(layers) + " threads");
    done = new AtomicIntegerArray(layers);
    if (parts.size() > 1) {
      parts.forEach(lanes -> work.add(() -> runAll(lanes)));
    } else {
      for (int i = 0; i < work(layers); i++) {
        int first = i;
        work.add(() -> runSome(parts.get(0), first));
      }
    }
  }

  private int work(int layers) {
    return parts.size() > 1 ? parts.size() : Math.min(layers, threads);
  }

  /**
   * Finds the primitives.
   *
   * @param context the node that stands for all layers
   * @param scans the layers' nodes, in order
   * @param session owns everything native
   * @return what compiles it, or null to decline
   */
  static OpMapping lower(OpContext context, List<GraphNode> scans, OneDnnSession session) {
    List<Layer> layers = layers(context, scans);
    if (layers == null) {
      return null;
    }
    int threads = Threads.allowed();
    int samples = layers.get(0).samples();
    int count = Math.min(samples, threads);
    List<Lane[]> parts = new ArrayList<>();
    boolean found =
        Threads.onOne(
            () -> {
              for (int i = 0; i < count; i++) {
                int first = i * samples / count;
                parts.add(lanes(session, layers, first, (i + 1) * samples / count - first));
              }
              return parts.stream().allMatch(lanes -> List.of(lanes).stream().allMatch(Lane::isFound));
            });
    return found ? given -> Threads.onOne(() -> compile(given, layers, parts, threads)) : null;
  }

  private static Lane[] lanes(OneDnnSession session, List<Layer> layers, int first, int rows) {
    int length = layers.get(0).length();
    int chunks = (length + CHUNK - 1) / CHUNK;
    int chunk = (length + chunks - 1) / chunks;
    return layers.stream().map(layer -> new Lane(session, layer, first, rows, chunk)).toArray(Lane[]::new);
  }

  private static List<Layer> layers(OpContext context, List<GraphNode> scans) {
    Function<String, INDArray> arrays = name -> input(context, name, false);
    Function<String, INDArray> constants = name -> input(context, name, true);
    List<Layer> layers = new ArrayList<>();
    for (GraphNode scan : scans) {
      Cell cell = CellReader.read(scan, constants);
      Layer before = layers.isEmpty() ? null : layers.get(layers.size() - 1);
      Layer layer = cell == null ? null : Layer.of(scan, cell, arrays, before);
      if (layer == null || !isGood(layer, before) || cell.answers().size() > 1) {
        return null;
      }
      layers.add(layer);
    }
    return layers;
  }

  private static boolean isGood(Layer layer, Layer before) {
    boolean hasKernel =
        layer.cell().statements().stream()
            .anyMatch(statement -> statement instanceof Cell.Multiply && ((Cell.Multiply) statement).products().hasKernel());
    if (!hasKernel || before != null && (layer.reverse() || before.cell().answers().size() != 1)) {
      return false;
    }
    long widest = layer.cell().states().stream().mapToInt(Register::width).max().orElse(0);
    long width = before == null ? layer.sequence().size(2) : before.cell().answers().get(0).width();
    return layer.inner() == width && layer.samples() * (long) layer.length() * Math.max(widest, width) < MOST_NUMBERS;
  }

  private static INDArray input(OpContext context, String name, boolean constant) {
    int at = context.node().inputs().indexOf(name);
    return at >= 0 && context.hasInput(at) && (!constant || context.isConstant(at)) ? context.input(at) : null;
  }

  private static Step compile(OpContext context, List<Layer> layers, List<Lane[]> parts, int threads) {
    Layer last = layers.get(layers.size() - 1);
    List<INDArray> outputs = new ArrayList<>();
    for (Register state : last.cell().states()) {
      outputs.add(context.allocate(outputs.size(), last.samples(), state.width()));
    }
    for (Register answer : last.cell().answers()) {
      outputs.add(context.allocate(outputs.size(), last.samples(), last.length(), answer.width()));
    }
    for (Lane[] lanes : parts) {
      for (int i = 0; i < lanes.length; i++) {
        lanes[i].allocate(context, i == 0 ? null : lanes[i - 1]);
      }
      lanes[lanes.length - 1].write(outputs);
    }
    return new Recurrence(parts, threads);
  }

  @Override
  public void run() {
    for (int i = 0; i < done.length(); i++) {
      done.set(i, 0);
    }
    Crew.share(work);
  }

  @Override
  public String implementation() {
    return implementation;
  }

  private static void runAll(Lane[] lanes) {
    for (int chunk = 0; chunk < lanes[0].chunks(); chunk++) {
      for (Lane lane : lanes) {
        lane.run(chunk);
      }
    }
  }

  /** Runs every so manieth layer, each chunk as soon as the layer before has given it. */
  private void runSome(Lane[] lanes, int first) {
    int stride = work.size();
    try {
      for (int chunk = 0; chunk < lanes[0].chunks(); chunk++) {
        for (int i = first; i < lanes.length; i += stride) {
          int needed = chunk + 1;
          int before = i - 1;
          if (before >= 0) {
            Crew.await(() -> done.get(before) >= needed);
          }
          lanes[i].run(chunk);
          done.compareAndSet(i, chunk, needed);
        }
      }
    } finally {
      // NB: whatever happened, nobody waits for ever.
      for (int i = first; i < lanes.length; i += stride) {
        done.set(i, Integer.MAX_VALUE);
      }
    }
  }
}
