package io.kbridge.train.optimizer;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.plan.HostMemory;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;

/**
 * A range of a weight's values, with its slots. Values are copied to Java arrays block by block, computed there, where the compiler uses vector
 * instructions, and copied back; a block is small enough to stay in the first cache.
 */
final class Piece {
  private static final int BLOCK = 2048;

  private final TrainedWeight owner;
  private final int weight;
  private final long from;
  private final int length;
  private final int block;
  private final FloatBuffer values;
  private final FloatBuffer[] slots;
  private final FloatBuffer average;
  private final FloatBuffer accumulated;
  private FloatBuffer gradient;
  private long gradientAddress;

  private Piece(TrainedWeight owner, int weight, long from, int length, boolean whole) {
    this.owner = owner;
    this.weight = weight;
    this.from = from;
    this.length = length;
    this.block = whole ? length : Math.min(length, BLOCK);
    this.values = range(owner.memory());
    this.slots =
        owner.slots().stream()
            .map(slot -> whole ? slot.memory().floats(0, (int) slot.array().length()) : range(slot.memory()))
            .toArray(FloatBuffer[]::new);
    this.average = owner.average() == null ? null : range(owner.average().memory());
    this.accumulated = owner.accumulator() == null ? null : range(owner.accumulator().memory());
  }

  static List<Piece> of(TrainedWeight owner, int weight, boolean whole, int most) {
    long length = owner.array().length();
    List<Piece> pieces = new ArrayList<>();
    if (whole) {
      if (length >= 1 << 29) {
        throw new KBridgeException(
            ErrorCode.UNSUPPORTED_OP,
            "Expected weights of fewer than 2^29 numbers. Received: '" + owner.name() + "' with " + length
                + ". Train with an optimizer that looks at numbers one by one, such as Adam.");
      }
      pieces.add(new Piece(owner, weight, 0, (int) length, true));
      return pieces;
    }
    for (long from = 0; from < length; from += most) {
      pieces.add(new Piece(owner, weight, from, (int) Math.min(most, length - from), false));
    }
    return pieces;
  }

  /** The index of its weight. */
  int weight() {
    return weight;
  }

  int length() {
    return length;
  }

  /** Sums the squares of the gradients as they are to be clipped. */
  double squares(HostMemory gradients, Stages stages) {
    bind(gradients);
    float[] g = new float[block];
    float[] sums = accumulated == null ? null : new float[block];
    double sum = 0;
    for (int at = 0; at < length; at += block) {
      int n = Math.min(block, length - at);
      read(gradient, g, at, n);
      read(accumulated, sums, at, n);
      stages.gradients(g, sums, n);
      sum += ShapedFamily.squares(g, n);
    }
    return sum;
  }

  /** Does its part of a step; without gradients and kernel only what happens in any case. */
  void update(HostMemory gradients, Rows rows, Kernel kernel, float[] clipping, Stages stages) {
    if (gradients != null) {
      bind(gradients);
    } else if (average == null) {
      return;
    }
    float[] w = new float[block];
    float[] g = gradients == null ? null : new float[block];
    float[] q = kernel == null || stages.magnitude() == Magnitude.NONE ? null : new float[block];
    float[] sums = accumulated == null ? null : new float[block];
    float[] means = average == null ? null : new float[block];
    float[][] state = new float[slots.length][];
    for (int i = 0; i < state.length; i++) {
      state[i] = new float[block == length ? slots[i].capacity() : block];
    }
    for (int at = 0; at < length; at += block) {
      int n = Math.min(block, length - at);
      read(values, w, at, n);
      if (gradients != null) {
        read(gradient, g, at, n);
        read(accumulated, sums, at, n);
        stages.gradients(g, sums, n);
        accumulate(g, at, n, stages.updates());
      }
      if (kernel != null) {
        finish(g, q, rows, at, n, clipping, stages);
        stages.decay(owner, w, n);
        exchange(state, at, n, true);
        kernel.update(w, g, q, state, n);
        exchange(state, at, n, false);
      }
      if (average != null) {
        read(average, means, at, n);
        stages.average(w, means, n);
        write(average, means, at, n);
      }
      write(values, w, at, n);
    }
  }

  /** Clips the gradients and finds their magnitudes. */
  private void finish(float[] g, float[] q, Rows rows, int at, int n, float[] clipping, Stages stages) {
    if (rows == null) {
      stages.clip(g, n, clipping);
      stages.magnitude().of(g, q, n);
      return;
    }
    rows.gradients(g, from + at, n);
    if (rows.leavesClipping()) {
      stages.clip(g, n, clipping);
    }
    if (q != null) {
      rows.magnitudes(q, from + at, n);
    }
  }

  private void accumulate(float[] g, int at, int n, boolean updates) {
    if (accumulated != null) {
      write(accumulated, updates ? new float[n] : g, at, n);
    }
  }

  private void exchange(float[][] state, int at, int n, boolean reading) {
    for (int i = 0; i < state.length; i++) {
      // NB: of a whole weight, a slot may have another size than the weight.
      int count = block == length ? slots[i].capacity() : n;
      if (reading) {
        read(slots[i], state[i], at, count);
      } else {
        write(slots[i], state[i], at, count);
      }
    }
  }

  private static void read(FloatBuffer from, float[] to, int at, int n) {
    if (from != null) {
      from.position(at);
      from.get(to, 0, n);
    }
  }

  private static void write(FloatBuffer to, float[] from, int at, int n) {
    to.position(at);
    to.put(from, 0, n);
  }

  /** Finds the gradients in memory; mostly they lie where they lay in the step before. */
  private void bind(HostMemory gradients) {
    long address = gradients.address();
    if (gradient == null || address != gradientAddress) {
      gradient = range(gradients);
      gradientAddress = address;
    }
  }

  private FloatBuffer range(HostMemory memory) {
    return memory.floats(from, length);
  }
}
