package io.kbridge.plan.onednn;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.Engine;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;

/**
 * The oneDNN engine of one model: holds its packed weights, and what the clock has told of its convolutions. Where Winograd's algorithm
 * follows itself, plans may be compiled in two ways until it is known which is faster: with arrays as Keras has them everywhere, or with the
 * arrays between such convolutions in the blocks that they work on.
 */
public final class OneDnnEngine implements Engine {
  /** The system property that decides for Winograd's algorithm ({@code always}) or against ({@code never}), not the clock ({@code measure}). */
  public static final String WINOGRAD = "io.kbridge.onednn.winograd";

  private final String choice = System.getProperty(WINOGRAD, "measure");
  private final Weights weights;
  // NB: null where there is no choice.
  private final Map<String, Trial> trials = new HashMap<>();
  private final Set<String> gaining = new HashSet<>();
  private Boolean preferred;

  /**
   * Makes the engine; loads oneDNN.
   *
   * @param packed told whenever weights have been copied into memory of the engine's own
   */
  public OneDnnEngine(Runnable packed) {
    OneDnn.cpu();
    weights = new Weights(packed);
    if (!choice.equals("measure")) {
      preferred = choice.equals("always");
    }
  }

  @Override
  public Session start() {
    return start(Boolean.TRUE.equals(preferred));
  }

  /** Starts a plan in one of the two ways. */
  OneDnnSession start(boolean inBlocks) {
    return new OneDnnSession(this, inBlocks, weights);
  }

  /** Tells whether it is still open which way is faster. */
  boolean isUndecided() {
    return preferred == null;
  }

  /** Decides for one of the two ways. */
  void prefer(boolean inBlocks) {
    preferred = inBlocks;
  }

  /**
   * Returns what is known of a convolution's algorithms.
   *
   * @param node the convolution
   * @param input the shape of its input
   * @param trial finds it out, by the clock or without; gives null if there is no choice
   * @return what is known, or null if there is no choice
   */
  Trial trial(GraphNode node, long[] input, Function<Boolean, Trial> trial) {
    if (choice.equals("never")) {
      return null;
    }
    String key = node.name() + Arrays.toString(input);
    if (!trials.containsKey(key)) {
      Trial found = trial.apply(!choice.equals("always"));
      trials.put(key, found);
      if (found != null && found.gains()) {
        gaining.add(node.name());
      }
    }
    return trials.get(key);
  }

  /** Tells whether a convolution has been found to gain from Winograd's algorithm, or may be taken to. */
  boolean mayGain(GraphNode node) {
    return gaining.contains(node.name()) || choice.equals("always");
  }

  @Override
  public void close() {
    weights.close();
  }
}
