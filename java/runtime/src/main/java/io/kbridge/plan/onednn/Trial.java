package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_BIAS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SCRATCHPAD;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.IntFunction;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.bytedeco.dnnl.convolution_forward;
import org.bytedeco.dnnl.memory;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.nativeblas.NativeOpsHolder;

/**
 * How long a convolution takes on this machine: directly, by Winograd's algorithm, and the copies into and out of the blocks that the latter
 * wants. Found out once by the clock, on zeros.
 */
final class Trial {
  private static final int ROUNDS = 2;
  private static final int MOST_ROUNDS = 6;
  private static final double STEADY = 1.25;
  private static final long PAGE = 1L << 12;
  // NB: its kernels are up to four times as large, and come from farther away in a whole network than in a trial.
  private static final double MARGIN = 0.9;
  // NB: in a trial all that its many calls need is cold. In networks it took as long, or up to 18 % less.
  private static final double TILES_IN_NETWORK = 0.93;
  private static final long ENOUGH_NS = 60_000_000;
  // NB: in a new process the JVM's compilers may take a core for that long.
  private static final long MOST_NS = 300_000_000;
  /** How long all trials together may still wait for runs that are not disturbed: beside a busy process there may never be any. */
  private static long patience = 1_000_000_000;
  private static final double NEVER = Double.POSITIVE_INFINITY;
  private static final int MOST_KNOWN = 4096;
  // NB: of all models of the process: the time depends on nothing that is the model's own. Null where there was nothing to try.
  private static final Map<String, Trial> KNOWN =
      new LinkedHashMap<>() {
        private static final long serialVersionUID = 1;

        @Override
        protected boolean removeEldestEntry(Map.Entry<String, Trial> eldest) {
          return size() > MOST_KNOWN;
        }
      };

  private final String implementation;
  private final WinogradForm form;
  private final double direct;
  private final double blocked;
  private final double winograd;
  private final double tiled;
  private final double copies;
  private final double copyOut;

  private Trial(
      String implementation, WinogradForm form, double direct, double blocked, double winograd, double tiled, double copies, double copyOut) {
    this.implementation = implementation;
    this.form = form;
    this.direct = direct;
    this.blocked = blocked;
    this.winograd = winograd;
    this.tiled = tiled;
    this.copies = copies;
    this.copyOut = copyOut;
  }

  /** How a convolution is computed. */
  enum Way {
    /** By its definition. */
    DIRECT,
    /** By oneDNN's code for Winograd's algorithm, with channels in blocks. */
    BLOCKS,
    /** By {@link Winograd}, in the layout that arrays have. */
    TILES
  }

  /**
   * Returns the outcome of a trial; runs it if nobody has before.
   *
   * @param key what is tried, for the number of threads at hand
   * @param run runs it; gives null if there is nothing to try
   * @return the outcome, or null
   */
  static Trial known(String key, Supplier<Trial> run) {
    String all = key + " " + NativeOpsHolder.getInstance().getDeviceNativeOps().ompGetMaxThreads();
    synchronized (KNOWN) {
      if (!KNOWN.containsKey(all)) {
        KNOWN.put(all, run.get());
      }
      return KNOWN.get(all);
    }
  }

  /**
   * Runs a convolution in all ways.
   *
   * @param session owns what is needed meanwhile
   * @param direct the direct way
   * @param blocked the direct way with channels in blocks
   * @param ways ways by Winograd's algorithm, each another implementation of oneDNN
   * @param tiles ways by {@link Winograd}, each another form
   * @return how long they take
   */
  static Trial run(
      OneDnnSession session,
      convolution_forward.primitive_desc direct,
      convolution_forward.primitive_desc blocked,
      List<convolution_forward.primitive_desc> ways,
      List<Winograd> tiles) {
    Bench bench = new Bench(session.ground(), direct, blocked, ways, tiles);
    List<Step> timed = new ArrayList<>();
    Step wake = bench.copy(session, direct.src_desc(), blocked.src_desc());
    timed.add(wake);
    timed.add(bench.copy(session, blocked.dst_desc(), direct.dst_desc()));
    timed.add(bench.convolution(session, direct));
    timed.add(bench.convolution(session, blocked));
    ways.forEach(way -> timed.add(bench.convolution(session, way)));
    tiles.forEach(way -> timed.add(bench.tiles(session, way)));
    double[] times = shortest(bench, wake, timed);
    int tilesFrom = 4 + ways.size();
    int best = best(times, 4, tilesFrom);
    int tiled = best(times, tilesFrom, times.length);
    return new Trial(
        best < 0 ? null : OneDnn.implementation(ways.get(best - 4)), tiled < 0 ? null : tiles.get(tiled - tilesFrom).form(), times[2], times[3],
        best < 0 ? NEVER : times[best], tiled < 0 ? NEVER : TILES_IN_NETWORK * times[tiled], times[0] + times[1], times[1]);
  }

  /** Returns where the shortest of some times is; -1 if there are none. */
  private static int best(double[] times, int from, int to) {
    int best = -1;
    for (int i = from; i < to; i++) {
      best = best < 0 || times[i] < times[best] ? i : best;
    }
    return best;
  }

  /** Takes one implementation of oneDNN for the faster one without a look at the clock. */
  static Trial decided(convolution_forward.primitive_desc way) {
    return new Trial(OneDnn.implementation(way), null, NEVER, NEVER, 0, NEVER, 0, 0);
  }

  /** Takes {@link Winograd} for the faster one without a look at the clock. */
  static Trial tiled() {
    return new Trial(null, null, NEVER, NEVER, NEVER, 0, 0, 0);
  }

  /** Tells whether a form of tiles is the fastest one; any is where the clock was not looked at. */
  boolean suits(WinogradForm one) {
    return form == null || form == one;
  }

  /** Returns oneDNN's fastest implementation of Winograd's algorithm. */
  String implementation() {
    return implementation;
  }

  /**
   * Returns how much longer the fastest way takes with channels last than with channels in blocks, in nanoseconds: less than zero if it takes shorter, 0
   * where no way clearly gains over the direct one.
   */
  double gainOfBlocks() {
    double plain = Math.min(Math.min(direct, tiled), winograd + copies);
    double inBlocks = Math.min(Math.min(blocked, tiled), winograd);
    return Math.min(tiled, winograd) < direct * MARGIN ? plain - inBlocks : 0;
  }

  /**
   * Tells which way is the fastest.
   *
   * @param blockedIn whether the input lies in blocks
   * @param blockedOut whether the result has to lie in blocks
   * @param pools whether a pooling follows that tiles have done with
   */
  Way fastest(boolean blockedIn, boolean blockedOut, boolean pools) {
    double half = copies / 2;
    // NB: it reads as much as a copy, and writes a quarter.
    double pooling = pools ? copyOut / 2 : 0;
    // NB: the direct way takes what lies in blocks as it is where both do, and none other.
    double plain = pooling + (blockedIn && blockedOut ? blocked : direct + (blockedIn ? half : 0) + (blockedOut ? half : 0));
    double inBlocks = pooling + winograd + (blockedIn ? 0 : half) + (blockedOut ? 0 : half);
    if (Math.min(inBlocks, tiled) >= plain * MARGIN) {
      return Way.DIRECT;
    }
    return inBlocks < tiled ? Way.BLOCKS : Way.TILES;
  }

  /** Finds the shortest time of each way, with the caches as a whole network leaves them: the input is there, kernels are not. */
  private static double[] shortest(Bench bench, Step wake, List<Step> ways) {
    List<Times> times = ways.stream().map(way -> new Times()).collect(Collectors.toList());
    // NB: not timed, the first run brings code into the caches.
    ways.forEach(Step::run);
    long start = System.nanoTime();
    for (int round = 0; round == 0 || isOpen(times, System.nanoTime() - start); round++) {
      for (int i = 0; i < ways.size(); i++) {
        bench.prepare();
        // NB: to wake OpenMP's threads takes up to 50 us, more than a copy itself. In a whole network the step before has woken them.
        wake.run();
        times.get(i).add(Stopwatch.time(ways.get(i)));
      }
    }
    patience -= Math.max(0, System.nanoTime() - start - ENOUGH_NS);
    boolean alone = times.stream().noneMatch(Times::isEmpty);
    return times.stream().mapToDouble(time -> time.shortest(alone)).toArray();
  }

  private static boolean isOpen(List<Times> times, long passed) {
    return passed < ENOUGH_NS ? !times.stream().allMatch(Times::suffice) : passed < Math.min(MOST_NS, ENOUGH_NS + patience) && times.stream().anyMatch(Times::isEmpty);
  }

  /** How long the runs of one way took. */
  private static final class Times {
    private int count;
    private double shortest = NEVER;
    private double second = NEVER;
    private double disturbed = NEVER;

    void add(Stopwatch watch) {
      if (watch.isDisturbed()) {
        disturbed = Math.min(disturbed, watch.nanoseconds());
        return;
      }
      count++;
      second = Math.min(second, Math.max(shortest, watch.nanoseconds()));
      shortest = Math.min(shortest, watch.nanoseconds());
    }

    /** Tells whether all runs were disturbed. */
    boolean isEmpty() {
      return count == 0;
    }

    /** Tells whether the way has taken about its shortest time twice. */
    boolean suffice() {
      return count >= MOST_ROUNDS || count >= ROUNDS && second <= STEADY * shortest;
    }

    double shortest(boolean alone) {
      return alone ? shortest : Math.min(shortest, disturbed);
    }
  }

  /** Where all ways run, each in the place of the one before. */
  private static final class Bench {
    private final BytePointer ground;
    private final Map<Integer, long[]> places = new HashMap<>();
    private long used;

    Bench(
        Ground ground,
        convolution_forward.primitive_desc direct,
        convolution_forward.primitive_desc blocked,
        List<convolution_forward.primitive_desc> ways,
        List<Winograd> tiles) {
      List<convolution_forward.primitive_desc> all = new ArrayList<>(ways);
      all.add(direct);
      all.add(blocked);
      place(DNNL_ARG_WEIGHTS, all, convolution_forward.primitive_desc::weights_desc, tiles.stream().mapToLong(Winograd::kernelBytes).max().orElse(0));
      place(DNNL_ARG_BIAS, all, convolution_forward.primitive_desc::bias_desc, 0);
      long least = tiles.stream().mapToLong(way -> way.threads() * page(way.scratchBytes())).max().orElse(0);
      place(DNNL_ARG_SCRATCHPAD, all, convolution_forward.primitive_desc::scratchpad_desc, least);
      place(DNNL_ARG_DST, all, convolution_forward.primitive_desc::dst_desc, 0);
      place(DNNL_ARG_SRC, all, convolution_forward.primitive_desc::src_desc, 0);
      this.ground = ground.memory(used + Ground.CACHE);
    }

    private void place(
        int argument, List<convolution_forward.primitive_desc> all, Function<convolution_forward.primitive_desc, memory.desc> of, long least) {
      long most = least;
      for (convolution_forward.primitive_desc one : all) {
        try (memory.desc desc = of.apply(one)) {
          most = Math.max(most, desc.get_size());
        }
      }
      places.put(argument, new long[] {used, most});
      used += page(most);
    }

    private static long page(long bytes) {
      return (bytes + PAGE - 1) / PAGE * PAGE;
    }

    /** Puts the input, and scratch memory, and nothing else, into the caches. */
    void prepare() {
      Ground.read(at(used), Ground.CACHE);
      // NB: scratch memory too, which the step before has used.
      warm(DNNL_ARG_SCRATCHPAD);
      warm(DNNL_ARG_SRC);
    }

    private void warm(int argument) {
      Pointer.memset(at(places.get(argument)[0]), 0, places.get(argument)[1]);
    }

    private BytePointer at(long offset) {
      return ground.getPointer(BytePointer.class, offset);
    }

    private INDArray array(int argument) {
      return NativeArrays.over(at(places.get(argument)[0]), DataType.INT8, places.get(argument)[1]);
    }

    Step copy(OneDnnSession session, memory.desc from, memory.desc to) {
      return Reorder.of(session, session.own(from), array(DNNL_ARG_SRC), session.own(to), array(DNNL_ARG_DST));
    }

    Step convolution(OneDnnSession session, convolution_forward.primitive_desc way) {
      Call call = new Call(session, way, new convolution_forward(way));
      bind(session, call, DNNL_ARG_SRC, way.src_desc());
      bind(session, call, DNNL_ARG_WEIGHTS, way.weights_desc());
      bind(session, call, DNNL_ARG_BIAS, way.bias_desc());
      bind(session, call, DNNL_ARG_DST, way.dst_desc());
      bind(session, call, DNNL_ARG_SCRATCHPAD, way.scratchpad_desc());
      return call.step();
    }

    Step tiles(OneDnnSession session, Winograd way) {
      long bytes = page(way.scratchBytes());
      IntFunction<BytePointer> scratch = thread -> at(places.get(DNNL_ARG_SCRATCHPAD)[0] + thread * bytes);
      memory kernels = way.kernelsAt(session, at(places.get(DNNL_ARG_WEIGHTS)[0]));
      return way.step(false, false, scratch, at(places.get(DNNL_ARG_SRC)[0]).address(), at(places.get(DNNL_ARG_DST)[0]).address(), kernels);
    }

    private void bind(OneDnnSession session, Call call, int argument, memory.desc desc) {
      session.own(desc);
      if (desc.get_size() > 0) {
        call.arg(argument, desc, array(argument));
      }
    }
  }
}
