package io.kbridge.samediff;

/** A family of mappings, found by {@link java.util.ServiceLoader}. */
public interface SameDiffMappings {
  /**
   * Adds the family's mappings.
   *
   * @param registry takes them
   */
  void register(SameDiffRegistry registry);
}
