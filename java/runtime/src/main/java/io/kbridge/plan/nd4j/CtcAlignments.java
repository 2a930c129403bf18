package io.kbridge.plan.nd4j;

import java.util.Arrays;

/**
 * All ways to lay one sample's labels out over its frames, with blanks in between: how probable they are together, and that one's gradient.
 *
 * <p>The states, their order and what an impossible one counts are those of TensorFlow's {@code ctc_loss_dense}, so that labels that do not fit
 * into the frames give its numbers, too. State 0 is the start, state k the k-th label, state places + 1 + k the blank after it.
 */
final class CtcAlignments {
  private static final double IMPOSSIBLE = (float) Math.log(1e-307);
  private static final double NEVER = Double.NEGATIVE_INFINITY;

  private final int frames;
  private final int classes;
  private final int places;
  private final double[] logs;
  private final double[][] forward;
  private final double[][] backward;
  private final double[] reached;
  private final boolean[] repeats;
  private long[] labels;
  private double logLikelihood;

  /**
   * Sets memory aside.
   *
   * @param frames how many frames there are
   * @param classes how many classes, the blank among them
   * @param places how many labels there may be, at least 1
   */
  CtcAlignments(int frames, int classes, int places) {
    this.frames = frames;
    this.classes = classes;
    this.places = places;
    this.logs = new double[frames * classes];
    this.forward = new double[frames + 1][2 * (places + 1)];
    this.backward = new double[frames + 1][2 * (places + 1)];
    this.reached = new double[2 * (places + 1)];
    this.repeats = new boolean[places + 2];
  }

  /**
   * Looks at a sample.
   *
   * @param logits numbers of each frame's classes, the blank first
   * @param given the labels, 0 being the blank; kept until the next sample
   * @param labelCount how many of them count
   * @param frameCount how many frames count
   */
  void read(double[] logits, long[] given, long labelCount, long frameCount) {
    labels = given;
    for (int k = 2; k <= places; k++) {
      repeats[k] = labels[k - 1] == labels[k - 2];
    }
    logSoftmax(logits);
    goForward();
    goBackward(labelCount, frameCount);
  }

  /**
   * Returns the loss of the sample.
   *
   * @return the negative logarithm of the probability
   */
  double loss() {
    return -logLikelihood;
  }

  /**
   * Computes the gradient of the loss.
   *
   * @param frameCount how many frames count
   * @param into where it goes, in the order of the logits
   */
  void gradient(long frameCount, double[] into) {
    Arrays.fill(into, 0);
    for (int t = 0; t < Math.min(frames, frameCount); t++) {
      int row = t * classes;
      for (int c = 0; c < classes; c++) {
        into[row + c] = Math.exp(logs[row + c]);
      }
      for (int s = 0; s < reached.length; s++) {
        reached[s] = forward[t + 1][s] + backward[t + 1][s];
      }
      normalise(reached);
      for (int s = 1; s < reached.length; s++) {
        // NB: a label's state that holds a blank is behind the last label: it counts for no class.
        long c = s > places ? 0 : labels[s - 1];
        if (s > places || c > 0 && c < classes) {
          into[row + (int) c] -= Math.exp(reached[s]);
        }
      }
    }
  }

  private void logSoftmax(double[] logits) {
    for (int row = 0; row < logs.length; row += classes) {
      double largest = NEVER;
      for (int c = 0; c < classes; c++) {
        largest = Math.max(largest, logits[row + c]);
      }
      double sum = 0;
      for (int c = 0; c < classes; c++) {
        sum += Math.exp(logits[row + c] - largest);
      }
      double total = largest + Math.log(sum);
      for (int c = 0; c < classes; c++) {
        logs[row + c] = logits[row + c] - total;
      }
    }
  }

  private void goForward() {
    Arrays.fill(forward[0], IMPOSSIBLE);
    forward[0][0] = 0;
    for (int t = 0; t < frames; t++) {
      double[] from = forward[t];
      double[] to = forward[t + 1];
      for (int k = 0; k <= places; k++) {
        int blank = places + 1 + k;
        double before = k == 0 || repeats[k] ? NEVER : from[k - 1];
        to[k] = k == 0 ? NEVER : sum(from[k], from[blank - 1], before) + emitted(t, k);
        to[blank] = sum(from[blank], from[k], NEVER) + emitted(t, blank);
      }
      normalise(to);
    }
  }

  private void goBackward(long labelCount, long frameCount) {
    double[] last = backward[frames];
    Arrays.fill(last, IMPOSSIBLE);
    if (labelCount >= 0 && labelCount <= places) {
      last[(int) labelCount] = 0;
      last[places + 1 + (int) labelCount] = 0;
    }
    double total = 0;
    for (int t = frames - 1; t >= 0; t--) {
      double[] from = backward[t];
      if (t >= frameCount) {
        System.arraycopy(last, 0, from, 0, last.length);
        continue;
      }
      for (int s = 0; s < reached.length; s++) {
        reached[s] = backward[t + 1][s] + emitted(t, s);
      }
      for (int k = 0; k <= places; k++) {
        int blank = places + 1 + k;
        double next = k == places ? NEVER : reached[k + 1];
        from[k] = sum(reached[k], reached[blank], repeats[k + 1] ? NEVER : next);
        from[blank] = sum(reached[blank], next, NEVER);
      }
      total += normalise(from);
    }
    logLikelihood = backward[0][0] + total;
  }

  /** The logarithm of the probability of what a state says in a frame. A class that does not exist is certain, as in TensorFlow. */
  private double emitted(int frame, int state) {
    if (state == 0) {
      return NEVER;
    }
    long c = state > places ? 0 : labels[state - 1];
    return c < 0 || c >= classes ? 0 : logs[frame * classes + (int) c];
  }

  private static double sum(double a, double b, double c) {
    double largest = Math.max(a, Math.max(b, c));
    return largest == NEVER ? NEVER : largest + Math.log(Math.exp(a - largest) + Math.exp(b - largest) + Math.exp(c - largest));
  }

  /** Makes probabilities sum to 1; returns the logarithm of what they summed to. */
  private static double normalise(double[] states) {
    double largest = NEVER;
    for (double state : states) {
      largest = Math.max(largest, state);
    }
    double sum = 0;
    for (double state : states) {
      sum += Math.exp(state - largest);
    }
    double total = largest + Math.log(sum);
    for (int s = 0; s < states.length; s++) {
      states[s] -= total;
    }
    return total;
  }
}
