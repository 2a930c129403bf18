package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.TreeMap;
import java.util.function.Function;

/** The optimizers and schedules a runtime knows, by Keras's class names. */
public final class OptimizerRegistry {
  private final Map<String, Function<Config, UpdateRule>> rules = new TreeMap<>();
  private final Map<String, Function<Config, Schedule>> schedules = new TreeMap<>();

  private OptimizerRegistry() {}

  /**
   * Makes a registry of every family on the class path.
   *
   * @return the registry
   */
  public static OptimizerRegistry load() {
    OptimizerRegistry registry = new OptimizerRegistry();
    // NB: the class loader of this class, not the thread's: JPype's threads have no useful one.
    for (OptimizerFamily family : ServiceLoader.load(OptimizerFamily.class, OptimizerRegistry.class.getClassLoader())) {
      family.register(registry);
    }
    return registry;
  }

  /**
   * Registers an optimizer.
   *
   * @param className its Keras class name
   * @param rule makes its rule of a config; what it does not read of the config, and optimizers do not share, is refused
   * @return this
   */
  public OptimizerRegistry optimizer(String className, Function<Config, UpdateRule> rule) {
    return add(rules, className, rule);
  }

  /**
   * Registers a learning-rate schedule.
   *
   * @param className its Keras class name
   * @param schedule makes it of a config; what it does not read of the config is refused
   * @return this
   */
  public OptimizerRegistry schedule(String className, Function<Config, Schedule> schedule) {
    return add(schedules, className, schedule);
  }

  private <T> OptimizerRegistry add(Map<String, Function<Config, T>> known, String className, Function<Config, T> maker) {
    if (known.putIfAbsent(className, maker) != null) {
      throw new KBridgeException(
          ErrorCode.INTERNAL,
          "Expected each class to be registered once. Received: a second '" + className + "'. Take one off the class path.");
    }
    return this;
  }

  boolean knows(String optimizer) {
    return rules.containsKey(optimizer);
  }

  UpdateRule rule(String className, Config config) {
    return find(rules, className, "optimizer").apply(config);
  }

  /** Makes a schedule of what Keras's config has as learning rate. */
  Schedule schedule(JsonNode described) {
    if (!described.has("class_name")) {
      throw new KBridgeException(
          ErrorCode.UNSUPPORTED_OP,
          "Expected the learning rate to be a number or one of the schedules " + schedules.keySet() + ". Received: "
              + described + ", a function that the bundle cannot hold. Compile with a number or a schedule.");
    }
    String name = described.get("class_name").asText();
    Config config = new Config(described.get("config"), name);
    config.skip("name");
    Schedule schedule = find(schedules, name, "learning-rate schedule").apply(config);
    config.requireAllRead();
    return schedule;
  }

  private static <T> T find(Map<String, T> known, String className, String what) {
    T found = known.get(className);
    if (found == null) {
      throw new KBridgeException(
          ErrorCode.UNSUPPORTED_OP,
          "Expected the " + what + " to be one of " + known.keySet() + ". Received: '" + className
              + "'. Compile with one of these, or register it (io.kbridge.train.optimizer.OptimizerFamily).");
    }
    return found;
  }
}
