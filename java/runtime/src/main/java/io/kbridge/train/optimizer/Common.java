package io.kbridge.train.optimizer;

/** What the configs of all optimizers have: decay, clipping, moving average, accumulation, loss scale. */
final class Common {
  final Double weightDecay;
  final Double clipNorm;
  final Double globalClipNorm;
  final Double clipValue;
  final boolean usesAverage;
  final float averageMomentum;
  final int overwriteFrequency;
  final Double lossScale;
  final int accumulationSteps;

  Common(Config config) {
    config.skip("name");
    weightDecay = config.optional("weight_decay");
    clipNorm = positive(config.optional("clipnorm"));
    globalClipNorm = positive(config.optional("global_clipnorm"));
    clipValue = positive(config.optional("clipvalue"));
    usesAverage = config.flag("use_ema");
    averageMomentum = (float) config.number("ema_momentum");
    Double frequency = config.optional("ema_overwrite_frequency");
    overwriteFrequency = frequency == null ? 0 : frequency.intValue();
    lossScale = config.optional("loss_scale_factor");
    Double steps = config.optional("gradient_accumulation_steps");
    accumulationSteps = steps == null ? 0 : steps.intValue();
  }

  /** Keras takes 0 and below for no clipping. */
  private static Double positive(Double bound) {
    return bound == null || bound <= 0 ? null : bound;
  }
}
