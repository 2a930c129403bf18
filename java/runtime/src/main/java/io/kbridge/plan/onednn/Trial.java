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
import java.util.function.Supplier;
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
  // NB: beside another process a run may take twice as long; then two are no measure, and one that is not disturbed has to be waited for.
  private static final int MOST_ROUNDS = 6;
  private static final double STEADY = 1.25;
  private static final long PAGE = 1L << 12;
  // NB: its kernels are up to four times as large, and come from farther away in a whole network than in a trial.
  private static final double MARGIN = 0.9;
  private static final long ENOUGH_NS = 60_000_000;
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
  private final double direct;
  private final double blocked;
  private final double winograd;
  private final double copies;

  private Trial(String implementation, double direct, double blocked, double winograd, double copies) {
    this.implementation = implementation;
    this.direct = direct;
    this.blocked = blocked;
    this.winograd = winograd;
    this.copies = copies;
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
   * @param ways ways by Winograd's algorithm, each another implementation, at least one
   * @return how long they take
   */
  static Trial run(
      OneDnnSession session,
      convolution_forward.primitive_desc direct,
      convolution_forward.primitive_desc blocked,
      List<convolution_forward.primitive_desc> ways) {
    Bench bench = new Bench(session.ground(), direct, blocked, ways);
    List<Step> timed = new ArrayList<>();
    timed.add(bench.copy(session, direct.src_desc(), blocked.src_desc()));
    timed.add(bench.copy(session, blocked.dst_desc(), direct.dst_desc()));
    timed.add(bench.convolution(session, direct));
    timed.add(bench.convolution(session, blocked));
    ways.forEach(way -> timed.add(bench.convolution(session, way)));
    double[] times = shortest(bench, timed);
    int best = 4;
    for (int i = 5; i < times.length; i++) {
      best = times[i] < times[best] ? i : best;
    }
    return new Trial(OneDnn.implementation(ways.get(best - 4)), times[2], times[3], times[best], times[0] + times[1]);
  }

  /** Takes one implementation for the faster one without a look at the clock. */
  static Trial decided(convolution_forward.primitive_desc way) {
    return new Trial(OneDnn.implementation(way), Double.POSITIVE_INFINITY, Double.POSITIVE_INFINITY, 0, 0);
  }

  /** Returns the fastest implementation of Winograd's algorithm. */
  String implementation() {
    return implementation;
  }

  /** Tells whether Winograd's algorithm is the faster one where no copies are needed. */
  boolean gains() {
    return winograd < direct * MARGIN;
  }

  /**
   * Tells whether Winograd's algorithm is the faster one.
   *
   * @param blockedIn whether the input lies in blocks
   * @param blockedOut whether the result has to lie in blocks
   */
  boolean gains(boolean blockedIn, boolean blockedOut) {
    if (blockedIn && blockedOut) {
      return winograd < blocked * MARGIN;
    }
    double half = copies / 2;
    return winograd + (blockedIn ? -half : half) + (blockedOut ? -half : half) < direct * MARGIN;
  }

  /** Finds the shortest time of each way, with the caches as a whole network leaves them: the input is there, kernels are not. */
  private static double[] shortest(Bench bench, List<Step> ways) {
    double[] shortest = new double[ways.size()];
    double[] second = new double[ways.size()];
    Arrays.fill(shortest, Double.POSITIVE_INFINITY);
    Arrays.fill(second, Double.POSITIVE_INFINITY);
    // NB: not timed, the first run brings code into the caches.
    ways.forEach(Step::run);
    long start = System.nanoTime();
    int round = 0;
    while (round == 0 || round < MOST_ROUNDS && System.nanoTime() - start < ENOUGH_NS && (round < ROUNDS || !isSteady(shortest, second))) {
      round++;
      for (int i = 0; i < shortest.length; i++) {
        bench.prepare();
        long before = System.nanoTime();
        ways.get(i).run();
        double time = System.nanoTime() - before;
        second[i] = Math.min(second[i], Math.max(shortest[i], time));
        shortest[i] = Math.min(shortest[i], time);
      }
    }
    return shortest;
  }

  /** Tells whether each way has taken about its shortest time twice. */
  private static boolean isSteady(double[] shortest, double[] second) {
    for (int i = 0; i < shortest.length; i++) {
      if (second[i] > STEADY * shortest[i]) {
        return false;
      }
    }
    return true;
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
        List<convolution_forward.primitive_desc> ways) {
      List<convolution_forward.primitive_desc> all = new ArrayList<>(ways);
      all.add(direct);
      all.add(blocked);
      place(DNNL_ARG_WEIGHTS, all, convolution_forward.primitive_desc::weights_desc);
      place(DNNL_ARG_BIAS, all, convolution_forward.primitive_desc::bias_desc);
      place(DNNL_ARG_SCRATCHPAD, all, convolution_forward.primitive_desc::scratchpad_desc);
      place(DNNL_ARG_DST, all, convolution_forward.primitive_desc::dst_desc);
      place(DNNL_ARG_SRC, all, convolution_forward.primitive_desc::src_desc);
      this.ground = ground.memory(used + Ground.CACHE);
    }

    private void place(
        int argument, List<convolution_forward.primitive_desc> all, Function<convolution_forward.primitive_desc, memory.desc> of) {
      long most = 0;
      for (convolution_forward.primitive_desc one : all) {
        try (memory.desc desc = of.apply(one)) {
          most = Math.max(most, desc.get_size());
        }
      }
      places.put(argument, new long[] {used, most});
      used += (most + PAGE - 1) / PAGE * PAGE;
    }

    /** Puts the input, and nothing else, into the caches of all cores. */
    void prepare() {
      Ground.clear(at(used), Ground.CACHE);
      Pointer.memset(at(places.get(DNNL_ARG_SRC)[0]), 0, places.get(DNNL_ARG_SRC)[1]);
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

    private void bind(OneDnnSession session, Call call, int argument, memory.desc desc) {
      session.own(desc);
      if (desc.get_size() > 0) {
        call.arg(argument, desc, array(argument));
      }
    }
  }
}
