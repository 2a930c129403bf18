package io.kbridge.train.gradient;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Function;

/** The ops that gradients can go back through: from the name of an op to its rule. Filled once, then only read. */
public final class RuleRegistry {
  private final Map<String, GradientRule> rules = new TreeMap<>();
  private final Map<String, String> refusals = new TreeMap<>();

  /** Makes an empty registry. */
  public RuleRegistry() {}

  /**
   * Finds all families on the class path.
   *
   * @return the registry
   */
  public static RuleRegistry load() {
    RuleRegistry registry = new RuleRegistry();
    // NB: the class loader of this class, not the thread's: JPype's threads have no useful one.
    for (GradientRules family : ServiceLoader.load(GradientRules.class, RuleRegistry.class.getClassLoader())) {
      family.register(registry);
    }
    return registry;
  }

  /** Gives the gradient of an op's only input. */
  @FunctionalInterface
  public interface Unary {
    /**
     * Writes the gradient.
     *
     * @param e writes
     * @param x the input
     * @param y the output
     * @param g the gradient of the output
     * @return the gradient of the input
     */
    Sym gradient(Emitter e, Sym x, Sym y, Sym g);
  }

  /** Gives the gradients of two operands, before broadcasting is undone. */
  @FunctionalInterface
  public interface Binary {
    /**
     * Writes the gradients.
     *
     * @param e writes
     * @param x the first input
     * @param y the second input
     * @param z the output
     * @param g the gradient of the output
     * @return the gradients of both
     */
    Sym[] gradients(Emitter e, Sym x, Sym y, Sym z, Sym g);
  }

  /**
   * Registers the rule of an op.
   *
   * @param op the op
   * @param rule its rule
   * @return this
   */
  public RuleRegistry rule(String op, GradientRule rule) {
    Objects.requireNonNull(rule, "rule");
    if (rules.putIfAbsent(Objects.requireNonNull(op, "op"), rule) != null) {
      throw new KBridgeException(
          ErrorCode.INTERNAL, "Expected one gradient rule for each op. Received: two for '" + op + "'. Take one off the class path.");
    }
    return this;
  }

  /**
   * Registers ops whose gradient is zero.
   *
   * @param ops the ops
   * @return this
   */
  public RuleRegistry zero(String... ops) {
    for (String op : ops) {
      rule(op, GradientRule.ZERO);
    }
    return this;
  }

  /**
   * Registers an op with one input that has a gradient.
   *
   * @param op the op
   * @param rule its rule
   * @return this
   */
  public RuleRegistry unary(String op, Unary rule) {
    return rule(op, c -> c.give(0, rule.gradient(c.e(), c.typedInput(0), c.output(0), c.gradient(0))));
  }

  /**
   * Registers an op on two inputs that broadcast.
   *
   * @param op the op
   * @param rule its rule
   * @return this
   */
  public RuleRegistry binary(String op, Binary rule) {
    return rule(
        op,
        c -> {
          Sym[] found = rule.gradients(c.e(), c.typedInput(0), c.typedInput(1), c.output(0), c.gradient(0));
          c.giveBroadcast(0, found[0]);
          c.giveBroadcast(1, found[1]);
        });
  }

  /**
   * Registers an op that is other ops put together: gradients go back through those.
   *
   * @param op the op
   * @param formula writes the op's outputs from its inputs
   * @return this
   */
  public RuleRegistry composed(String op, Function<GradientContext, List<Sym>> formula) {
    return rule(op, c -> c.through(formula));
  }

  /**
   * Registers an op that has a derivative, which is not known here: a model that needs it is refused.
   *
   * @param op the op
   * @param reason why, and what to do
   * @return this
   */
  public RuleRegistry none(String op, String reason) {
    refusals.put(op, reason);
    return this;
  }

  /**
   * Returns the ops that are refused, and why.
   *
   * @return reasons by op
   */
  public Map<String, String> refusals() {
    return Collections.unmodifiableMap(refusals);
  }

  /** Makes the error for a node that gradients would have to go through. */
  static KBridgeException refused(GradientContext c, String what) {
    return new KBridgeException(
        ErrorCode.UNSUPPORTED_OP,
        "Expected an op that gradients can go back through at " + c.node() + ". Received: " + what
            + ". Freeze the layers before it (trainable=False), or train this part in Keras.");
  }

  /**
   * Tells whether an op has a rule.
   *
   * @param op the op
   * @return true if so; also if its rule is {@link GradientRule#ZERO}
   */
  public boolean contains(String op) {
    return rules.containsKey(op);
  }

  /**
   * Tells whether gradients end at an op.
   *
   * @param op the op
   * @return true if its rule is {@link GradientRule#ZERO}
   */
  public boolean isZero(String op) {
    return rules.get(op) == GradientRule.ZERO;
  }

  /**
   * Returns the rule of an op.
   *
   * @param op an op that has one
   * @return its rule
   */
  public GradientRule get(String op) {
    return rules.get(op);
  }

  /**
   * Returns all ops that have a rule.
   *
   * @return their names
   */
  public Set<String> names() {
    return Collections.unmodifiableSet(rules.keySet());
  }
}
