package io.kbridge.graph;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Objects;

/** Which values one call of one Keras layer gave; parity per layer is told with it. Immutable. */
public final class LayerOutput {
  private final String scope;
  private final int call;
  private final String className;
  private final List<String> values;

  /**
   * Makes an entry.
   *
   * @param scope the path of layer names from the model downwards
   * @param call which call of a shared layer, from 0
   * @param className the layer's Keras class
   * @param values names of the values the call gave
   */
  public LayerOutput(String scope, int call, String className, List<String> values) {
    this.scope = Objects.requireNonNull(scope, "scope");
    this.call = call;
    this.className = Objects.requireNonNull(className, "className");
    this.values = Collections.unmodifiableList(new ArrayList<>(values));
  }

  /**
   * Returns the path of layer names, joined by {@code /}.
   *
   * @return the scope
   */
  public String scope() {
    return scope;
  }

  /**
   * Returns which call of a shared layer this is.
   *
   * @return the call, from 0
   */
  public int call() {
    return call;
  }

  /**
   * Returns the layer's Keras class.
   *
   * @return the class name
   */
  public String className() {
    return className;
  }

  /**
   * Returns the values the call gave.
   *
   * @return names for {@code KBridgeModel.values}
   */
  public List<String> values() {
    return values;
  }
}
