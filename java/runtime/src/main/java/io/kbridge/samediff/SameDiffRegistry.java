package io.kbridge.samediff;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.util.Collections;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeMap;

/** The operations that can be said in SameDiff. Filled once, then only read. */
public final class SameDiffRegistry {
  private final Map<String, SameDiffMapping> mappings = new TreeMap<>();

  private SameDiffRegistry() {}

  /**
   * Collects the families on the class path.
   *
   * @return the registry
   */
  public static SameDiffRegistry load() {
    SameDiffRegistry registry = new SameDiffRegistry();
    // NB: the class loader of this class, not the thread's: JPype's threads have no useful one.
    for (SameDiffMappings family : ServiceLoader.load(SameDiffMappings.class, SameDiffRegistry.class.getClassLoader())) {
      family.register(registry);
    }
    return registry;
  }

  /**
   * Adds a mapping.
   *
   * @param name the Keras operation
   * @param mapping says it in SameDiff
   * @return this
   */
  public SameDiffRegistry op(String name, SameDiffMapping mapping) {
    if (mappings.putIfAbsent(name, mapping) != null) {
      throw new KBridgeException(
          ErrorCode.INTERNAL, "Expected each op to be mapped once. Received: '" + name + "' twice. Take one off the class path.");
    }
    return this;
  }

  /**
   * Returns the operations known.
   *
   * @return their names
   */
  public Set<String> names() {
    return Collections.unmodifiableSet(mappings.keySet());
  }

  SameDiffMapping get(String name) {
    return mappings.get(name);
  }
}
