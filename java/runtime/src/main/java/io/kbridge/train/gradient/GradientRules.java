package io.kbridge.train.gradient;

/**
 * A family of gradient rules. Families are found with {@link java.util.ServiceLoader}: a jar names its own in
 * {@code META-INF/services/io.kbridge.train.gradient.GradientRules}.
 */
@FunctionalInterface
public interface GradientRules {
  /**
   * Adds the family's rules.
   *
   * @param registry takes them
   */
  void register(RuleRegistry registry);
}
