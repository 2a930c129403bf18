package io.kbridge.plan.onednn;

import io.kbridge.plan.Engine;

/**
 * The oneDNN engine of one model: holds its packed weights. Until it is told which is faster, plans may be compiled in two ways, with arrays
 * as Keras has them, or with channels in blocks, which Winograd's convolutions need.
 */
public final class OneDnnEngine implements Engine {
  /** The system property that decides for blocks ({@code always}) or against ({@code never}), not the clock ({@code measure}). */
  public static final String BLOCKS = "io.kbridge.onednn.blocks";

  private final Weights plain = new Weights();
  private final Weights blocked = new Weights();
  private Boolean preferred;

  /** Makes the engine; loads oneDNN. */
  public OneDnnEngine() {
    OneDnn.cpu();
    String given = System.getProperty(BLOCKS, "measure");
    if (!given.equals("measure")) {
      preferred = given.equals("always");
    }
  }

  @Override
  public synchronized Session start() {
    return start(Boolean.TRUE.equals(preferred));
  }

  /** Starts a plan in one of the two ways. */
  synchronized OneDnnSession start(boolean inBlocks) {
    return new OneDnnSession(this, inBlocks, (inBlocks ? blocked : plain).acquire());
  }

  /** Tells whether it is still open which way is faster. */
  synchronized boolean isUndecided() {
    return preferred == null;
  }

  /** Decides for one of the two ways. */
  synchronized void prefer(boolean inBlocks) {
    preferred = inBlocks;
    (inBlocks ? plain : blocked).retire();
  }

  @Override
  public synchronized void close() {
    plain.close();
    blocked.close();
  }
}
