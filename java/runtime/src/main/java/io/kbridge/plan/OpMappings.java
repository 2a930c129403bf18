package io.kbridge.plan;

/**
 * A family of mappings. Found with {@link java.util.ServiceLoader}: name the class in
 * {@code META-INF/services/io.kbridge.plan.OpMappings}, and its ops are known to every model loaded from then on.
 */
@FunctionalInterface
public interface OpMappings {
  /**
   * Registers the family's ops.
   *
   * @param registry takes them, one call of {@link OpRegistry#op} each
   */
  void register(OpRegistry registry);
}
