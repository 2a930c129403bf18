package io.kbridge.plan.onednn;

import io.kbridge.plan.Engine;
import java.util.function.Function;

/**
 * The oneDNN engine of one model: holds its packed weights. Where convolutions gain from Winograd's algorithm, which works on channels in
 * blocks, plans may be compiled in two ways until it is known which is faster: with arrays as Keras has them, and copies around such
 * convolutions, or with channels in blocks everywhere.
 */
public final class OneDnnEngine implements Engine {
  /** The system property that decides for Winograd's algorithm ({@code always}) or against ({@code never}), not the clock ({@code measure}). */
  public static final String WINOGRAD = "io.kbridge.onednn.winograd";

  private final String choice = System.getProperty(WINOGRAD, "measure");
  private final Weights weights;
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
    weights.dropUnused();
  }

  /**
   * Returns what is known of a convolution's algorithms.
   *
   * @param key all that the time depends on
   * @param trial finds it out, by the clock or without; gives null if there is no choice
   * @return what is known, or null if there is no choice
   */
  Trial trial(String key, Function<Boolean, Trial> trial) {
    if (choice.equals("never")) {
      return null;
    }
    return choice.equals("always") ? trial.apply(false) : Trial.known(key, () -> trial.apply(true));
  }

  @Override
  public void close() {
    weights.close();
  }
}
