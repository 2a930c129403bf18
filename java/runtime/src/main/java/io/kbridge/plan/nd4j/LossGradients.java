package io.kbridge.plan.nd4j;

import io.kbridge.plan.OpMappings;
import io.kbridge.plan.OpRegistry;

/** Gradients of losses that are one operation, which Keras has not. */
public final class LossGradients implements OpMappings {
  /** Makes the family; for the service loader. */
  public LossGradients() {}

  @Override
  public void register(OpRegistry registry) {
    registry.op("CTCLossGrad", Ctc::gradient);
  }
}
