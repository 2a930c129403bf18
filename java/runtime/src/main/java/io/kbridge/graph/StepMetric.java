package io.kbridge.graph;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;

/** A metric of the steps, for programs that look at one: what it computes is in the graphs. Immutable. */
public final class StepMetric {
  private final String name;
  private final String className;
  private final String output;
  private final boolean weighted;
  private final List<String> variables;

  /**
   * Makes a metric.
   *
   * @param name its name
   * @param className its class in Keras
   * @param output the output it is of, or null
   * @param weighted whether sample weights count
   * @param variables names of its variables
   */
  public StepMetric(String name, String className, String output, boolean weighted, List<String> variables) {
    this.name = Objects.requireNonNull(name, "name");
    this.className = Objects.requireNonNull(className, "className");
    this.output = output;
    this.weighted = weighted;
    this.variables = Collections.unmodifiableList(new ArrayList<>(variables));
  }

  /**
   * Returns the metric's name.
   *
   * @return the name
   */
  public String name() {
    return name;
  }

  /**
   * Returns the metric's class in Keras.
   *
   * @return the class name
   */
  public String className() {
    return className;
  }

  /**
   * Returns the output it is of.
   *
   * @return the output's name, or null for a mean of the loss
   */
  public String output() {
    return output;
  }

  /**
   * Tells whether sample weights count.
   *
   * @return whether it is one of the weighted metrics
   */
  public boolean weighted() {
    return weighted;
  }

  /**
   * Returns its variables.
   *
   * @return names of step variables
   */
  public List<String> variables() {
    return variables;
  }
}
