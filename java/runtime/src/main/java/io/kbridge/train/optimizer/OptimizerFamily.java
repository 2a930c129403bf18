package io.kbridge.train.optimizer;

/**
 * A family of optimizers or schedules. Found with {@link java.util.ServiceLoader}: name the class in {@code
 * META-INF/services/io.kbridge.train.optimizer.OptimizerFamily}.
 */
@FunctionalInterface
public interface OptimizerFamily {
  /**
   * Registers the family's classes.
   *
   * @param registry takes them
   */
  void register(OptimizerRegistry registry);
}
