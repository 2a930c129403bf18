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
import java.util.List;
import org.bytedeco.dnnl.convolution_forward;
import org.bytedeco.dnnl.memory;
import org.bytedeco.javacpp.BytePointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * How long a convolution takes on this machine: directly, by Winograd's algorithm, and the copies into and out of the blocks that the latter
 * wants. Found out once by the clock, on zeros.
 */
final class Trial {
  private static final int ROUNDS = 3;
  private static final long ENOUGH_NS = 60_000_000;

  private final String implementation;
  private final double direct;
  private final double winograd;
  private final double copyIn;
  private final double copyOut;

  private Trial(String implementation, double direct, double winograd, double copyIn, double copyOut) {
    this.implementation = implementation;
    this.direct = direct;
    this.winograd = winograd;
    this.copyIn = copyIn;
    this.copyOut = copyOut;
  }

  /**
   * Runs a convolution in all ways.
   *
   * @param session owns what is needed meanwhile
   * @param direct the direct way
   * @param blocked ways by Winograd's algorithm, each another implementation, at least one
   * @return how long they take
   */
  static Trial run(
      OneDnnSession session, convolution_forward.primitive_desc direct, List<convolution_forward.primitive_desc> blocked) {
    List<Step> steps = new ArrayList<>();
    convolution_forward.primitive_desc one = blocked.get(0);
    steps.add(copy(session, direct.src_desc(), one.src_desc()));
    steps.add(copy(session, one.dst_desc(), direct.dst_desc()));
    steps.add(convolution(session, direct));
    blocked.forEach(way -> steps.add(convolution(session, way)));
    double[] times = shortest(steps);
    int best = 3;
    for (int i = 4; i < times.length; i++) {
      best = times[i] < times[best] ? i : best;
    }
    return new Trial(OneDnn.implementation(blocked.get(best - 3)), times[2], times[best], times[0], times[1]);
  }

  /** Takes one implementation for the faster one without a look at the clock. */
  static Trial decided(convolution_forward.primitive_desc way) {
    return new Trial(OneDnn.implementation(way), Double.POSITIVE_INFINITY, 0, 0, 0);
  }

  /** Returns the fastest implementation of Winograd's algorithm. */
  String implementation() {
    return implementation;
  }

  /** Tells whether Winograd's algorithm is the faster one where no copies are needed. */
  boolean gains() {
    return winograd < direct;
  }

  /**
   * Tells whether Winograd's algorithm is the faster one.
   *
   * @param blockedIn whether the input lies in blocks
   * @param blockedOut whether the result has to lie in blocks
   */
  boolean gains(boolean blockedIn, boolean blockedOut) {
    double in = blockedIn ? -copyIn : copyIn;
    double out = blockedOut ? -copyOut : copyOut;
    return winograd + in + out < direct;
  }

  private static double[] shortest(List<Step> steps) {
    double[] shortest = new double[steps.size()];
    Arrays.fill(shortest, Double.POSITIVE_INFINITY);
    // NB: not timed, the first run brings memory and code into the caches.
    steps.forEach(Step::run);
    long start = System.nanoTime();
    for (int round = 0; round == 0 || round < ROUNDS && System.nanoTime() - start < ENOUGH_NS; round++) {
      for (int i = 0; i < shortest.length; i++) {
        long before = System.nanoTime();
        steps.get(i).run();
        shortest[i] = Math.min(shortest[i], System.nanoTime() - before);
      }
    }
    return shortest;
  }

  private static Step copy(OneDnnSession session, memory.desc from, memory.desc to) {
    return Reorder.of(session, session.own(from), zeros(session, from), session.own(to), zeros(session, to));
  }

  private static Step convolution(OneDnnSession session, convolution_forward.primitive_desc way) {
    Call call = new Call(session, way, new convolution_forward(way));
    zeros(session, call, DNNL_ARG_SRC, way.src_desc());
    zeros(session, call, DNNL_ARG_WEIGHTS, way.weights_desc());
    zeros(session, call, DNNL_ARG_BIAS, way.bias_desc());
    zeros(session, call, DNNL_ARG_DST, way.dst_desc());
    zeros(session, call, DNNL_ARG_SCRATCHPAD, way.scratchpad_desc());
    return call.step();
  }

  private static void zeros(OneDnnSession session, Call call, int argument, memory.desc desc) {
    session.own(desc);
    if (desc.get_size() > 0) {
      call.arg(argument, desc, zeros(session, desc));
    }
  }

  private static INDArray zeros(OneDnnSession session, memory.desc desc) {
    BytePointer memory = session.own(new BytePointer(desc.get_size()));
    // NB: written, because all pages of memory that never was are one and the same.
    memory.zero();
    return NativeArrays.over(memory, DataType.INT8, desc.get_size());
  }
}
