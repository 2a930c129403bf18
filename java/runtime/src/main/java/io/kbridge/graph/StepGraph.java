package io.kbridge.graph;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * What one step computes, of training or of evaluation: the model's answer, the loss, and what every variable is given. Its graph reads the
 * model's weights and the {@link StepVariable}s by name, like weights. Immutable.
 */
public final class StepGraph {
  /** What an input of a step is. */
  public enum Role {
    /** An input of the model. */
    X,
    /** Labels of an output. */
    Y,
    /** Weights of the values of an output's loss; ones where nobody gives any. */
    SAMPLE_WEIGHT;

    /**
     * Returns the role a bundle calls by a name.
     *
     * @param name the name
     * @return the role, or null if there is none of that name
     */
    public static Role ofName(String name) {
      for (Role role : values()) {
        if (role.name().toLowerCase(java.util.Locale.ROOT).equals(name)) {
          return role;
        }
      }
      return null;
    }
  }

  /** An input of a step. Immutable. */
  public static final class Input {
    private final ValueInfo value;
    private final Role role;
    private final String of;
    private final Long classes;
    private final Long ignored;
    private final boolean broadcasts;

    /**
     * Makes an input.
     *
     * @param value name, shape and type
     * @param role what it is
     * @param of the model's input or output that it belongs to
     */
    public Input(ValueInfo value, Role role, String of) {
      this(value, role, of, null, null, false);
    }

    /**
     * Makes an input of which more is known.
     *
     * @param value name, shape and type
     * @param role what it is
     * @param of the model's input or output that it belongs to
     * @param classes how many classes there are; null if it holds other numbers
     * @param ignored the class number that the loss passes over; null for none
     * @param broadcasts whether sizes of 1 stand for any size
     */
    public Input(ValueInfo value, Role role, String of, Long classes, Long ignored, boolean broadcasts) {
      this.value = Objects.requireNonNull(value, "value");
      this.role = Objects.requireNonNull(role, "role");
      this.of = Objects.requireNonNull(of, "of");
      this.classes = classes;
      this.ignored = ignored;
      this.broadcasts = broadcasts;
    }

    /**
     * Returns name, shape and type.
     *
     * @return the value
     */
    public ValueInfo value() {
      return value;
    }

    /**
     * Returns what it is.
     *
     * @return its role
     */
    public Role role() {
      return role;
    }

    /**
     * Returns what it belongs to.
     *
     * @return the name of an input or output of the model
     */
    public String of() {
      return of;
    }

    /**
     * Returns how many classes there are, where the input holds their numbers.
     *
     * @return the count, or null
     */
    public Long classes() {
      return classes;
    }

    /**
     * Returns the class number that the loss passes over.
     *
     * @return the number, or null
     */
    public Long ignored() {
      return ignored;
    }

    /**
     * Tells whether sizes of 1 stand for any size: one weight for all values that a sample has.
     *
     * @return true if so
     */
    public boolean broadcasts() {
      return broadcasts;
    }
  }

  /** One of the losses that are added up, with its weight among them. Immutable. */
  public static final class Loss {
    private final String name;
    private final String value;
    private final double weight;

    /**
     * Makes a loss.
     *
     * @param name what Keras calls it
     * @param value the value of the graph, not weighted
     * @param weight its weight in the sum
     */
    public Loss(String name, String value, double weight) {
      this.name = Objects.requireNonNull(name, "name");
      this.value = Objects.requireNonNull(value, "value");
      this.weight = weight;
    }

    /**
     * Returns its name.
     *
     * @return what Keras calls it
     */
    public String name() {
      return name;
    }

    /**
     * Returns its value.
     *
     * @return a value of the graph
     */
    public String value() {
      return value;
    }

    /**
     * Returns its weight in the sum.
     *
     * @return the factor
     */
    public double weight() {
      return weight;
    }
  }

  private final ModelGraph graph;
  private final List<Input> inputs;
  private final String loss;
  private final List<Loss> losses;
  private final List<VariableUpdate> updates;
  private final List<VariableUpdate> metricUpdates;

  /**
   * Makes a step.
   *
   * @param graph what it computes; its outputs are the model's
   * @param inputs the graph's inputs
   * @param loss the value that training makes smaller
   * @param losses the losses that it is the sum of, with what layers and regularizers add
   * @param updates what weights and states are given, in order; the last one of a variable stays
   * @param metricUpdates what variables of metrics are given
   * @throws IllegalArgumentException if the parts do not fit each other
   */
  public StepGraph(
      ModelGraph graph, List<Input> inputs, String loss, List<Loss> losses, List<VariableUpdate> updates, List<VariableUpdate> metricUpdates) {
    this.graph = Objects.requireNonNull(graph, "graph");
    this.inputs = Collections.unmodifiableList(new ArrayList<>(inputs));
    this.loss = Objects.requireNonNull(loss, "loss");
    this.losses = Collections.unmodifiableList(new ArrayList<>(losses));
    this.updates = Collections.unmodifiableList(new ArrayList<>(updates));
    this.metricUpdates = Collections.unmodifiableList(new ArrayList<>(metricUpdates));
    check();
  }

  private void check() {
    ValueInfo total = value(loss, "the loss");
    if (total.shape().length != 0 || !total.dtype().isFPType()) {
      throw new IllegalArgumentException("the loss, " + total + ", is not one floating-point number");
    }
    losses.forEach(each -> value(each.value(), "loss '" + each.name() + "'"));
    updates.forEach(this::check);
    metricUpdates.forEach(this::check);
    Map<Role, Set<String>> seen = new HashMap<>();
    for (Input input : inputs) {
      if (!seen.computeIfAbsent(input.role(), role -> new HashSet<>()).add(input.of())) {
        throw new IllegalArgumentException("there are two inputs for " + input.role() + " of '" + input.of() + "'");
      }
    }
  }

  private void check(VariableUpdate update) {
    ArrayEntry variable = graph.weights().get(update.variable());
    if (variable == null) {
      throw new IllegalArgumentException("there is no variable '" + update.variable() + "' to update");
    }
    ValueInfo given = value(update.value(), "the update of '" + update.variable() + "'");
    if (given.type() != variable.value().type() || !given.accepts(variable.value().shape())) {
      throw new IllegalArgumentException(variable.value() + " cannot be given " + given);
    }
  }

  private ValueInfo value(String name, String what) {
    ValueInfo found = graph.values().get(name);
    if (found == null) {
      throw new IllegalArgumentException("value '" + name + "', which is " + what + ", is not defined");
    }
    return found;
  }

  /**
   * Returns what the step computes. Its weights are the model's and the step variables; its outputs are the model's.
   *
   * @return the graph
   */
  public ModelGraph graph() {
    return graph;
  }

  /**
   * Returns the inputs.
   *
   * @return the inputs, those of the model first
   */
  public List<Input> inputs() {
    return inputs;
  }

  /**
   * Returns the value that training makes smaller: weighted losses, what layers add, regularizers.
   *
   * @return a value of the graph, a scalar
   */
  public String loss() {
    return loss;
  }

  /**
   * Returns the losses that are part of it.
   *
   * @return the losses, not weighted
   */
  public List<Loss> losses() {
    return losses;
  }

  /**
   * Returns what weights and states are given, in order. A variable may be given values more than once: later readers read what it was given
   * before them, and the last value stays.
   *
   * @return the updates
   */
  public List<VariableUpdate> updates() {
    return updates;
  }

  /**
   * Returns what the variables of metrics are given, in order.
   *
   * @return the updates
   */
  public List<VariableUpdate> metricUpdates() {
    return metricUpdates;
  }
}
