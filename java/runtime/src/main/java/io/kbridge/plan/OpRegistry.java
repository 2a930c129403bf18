package io.kbridge.plan;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.util.Collections;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.ServiceLoader;
import java.util.TreeMap;

/** The ops a runtime knows: from the name of a Keras operation to what compiles it. Filled once, then only read. */
public final class OpRegistry {
  private final Map<String, OpMapping> mappings = new TreeMap<>();
  private final Map<String, String> providers = new TreeMap<>();
  private String provider = "the caller";

  /** Makes an empty registry. */
  public OpRegistry() {}

  /**
   * Makes a registry of every family on the class path.
   *
   * @return the registry
   */
  public static OpRegistry load() {
    OpRegistry registry = new OpRegistry();
    // NB: the class loader of this class, not the thread's: JPype's threads have no useful one.
    for (OpMappings family : ServiceLoader.load(OpMappings.class, OpRegistry.class.getClassLoader())) {
      registry.add(family);
    }
    return registry;
  }

  /**
   * Adds a family.
   *
   * @param family the family
   * @return this
   */
  public OpRegistry add(OpMappings family) {
    provider = family.getClass().getName();
    family.register(this);
    return this;
  }

  /**
   * Registers an op. An op can be registered once.
   *
   * @param name the class name of the Keras operation
   * @param mapping compiles its nodes
   * @return this
   * @throws KBridgeException INTERNAL if the op is registered already
   */
  public OpRegistry op(String name, OpMapping mapping) {
    Objects.requireNonNull(mapping, "mapping");
    if (mappings.putIfAbsent(Objects.requireNonNull(name, "name"), mapping) != null) {
      throw new KBridgeException(
          ErrorCode.INTERNAL,
          "Expected each op to be registered once. Received: op '" + name + "' from " + providers.get(name) + " and from "
              + provider + ". Take one of the two off the class path.");
    }
    providers.put(name, provider);
    return this;
  }

  /**
   * Tells whether an op is known.
   *
   * @param name the op
   * @return true if it is
   */
  public boolean contains(String name) {
    return mappings.containsKey(name);
  }

  /**
   * Finds an op's mapping.
   *
   * @param name the op
   * @return its mapping
   * @throws KBridgeException UNSUPPORTED_OP if it is not known
   */
  public OpMapping get(String name) {
    OpMapping mapping = mappings.get(name);
    if (mapping == null) {
      throw new KBridgeException(
          ErrorCode.UNSUPPORTED_OP,
          "Expected an op of " + mappings.keySet() + ". Received: '" + name
              + "'. Use a newer kbridge runtime, or register a mapping for it (io.kbridge.plan.OpMappings).");
    }
    return mapping;
  }

  /**
   * Returns the names of all ops.
   *
   * @return the names, sorted
   */
  public Set<String> names() {
    return Collections.unmodifiableSet(mappings.keySet());
  }
}
