package io.kbridge.plan.onednn;

import io.kbridge.plan.Engine;

/** The oneDNN engine of one model: holds its packed weights. */
public final class OneDnnEngine implements Engine {
  private final Weights weights = new Weights();

  /** Makes the engine; loads oneDNN. */
  public OneDnnEngine() {
    OneDnn.cpu();
  }

  @Override
  public Session start() {
    return new OneDnnSession(weights);
  }

  @Override
  public void close() {
    weights.close();
  }
}
