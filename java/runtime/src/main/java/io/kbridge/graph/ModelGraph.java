package io.kbridge.graph;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

/**
 * The inference graph of a model, checked: every name is defined once and before it is used, and nodes are in the order they run. So are
 * the bodies of nodes of control flow, whose values are seen by themselves alone. Immutable.
 */
public final class ModelGraph {
  private final String name;
  private final List<GraphInput> inputs;
  private final List<GraphOutput> outputs;
  private final Map<String, ArrayEntry> weights;
  private final Map<String, ArrayEntry> constants;
  private final Map<String, ArrayEntry> states;
  private final List<GraphNode> nodes;
  private final List<VariableUpdate> updates;
  private final List<LayerOutput> layerOutputs;
  private final Map<String, ValueInfo> values;
  private final ObjectNode spec;

  private ModelGraph(Builder builder) {
    this.name = Objects.requireNonNull(builder.name, "name");
    this.inputs = Collections.unmodifiableList(new ArrayList<>(builder.inputs));
    this.outputs = Collections.unmodifiableList(new ArrayList<>(builder.outputs));
    this.weights = Collections.unmodifiableMap(new LinkedHashMap<>(builder.weights));
    this.constants = Collections.unmodifiableMap(new LinkedHashMap<>(builder.constants));
    this.states = Collections.unmodifiableMap(new LinkedHashMap<>(builder.states));
    this.nodes = Collections.unmodifiableList(new ArrayList<>(builder.nodes));
    this.updates = Collections.unmodifiableList(new ArrayList<>(builder.updates));
    this.layerOutputs = Collections.unmodifiableList(new ArrayList<>(builder.layerOutputs));
    this.values = Collections.unmodifiableMap(new LinkedHashMap<>(builder.values));
    this.spec = Objects.requireNonNull(builder.spec, "spec");
  }

  /**
   * Returns the model's name.
   *
   * @return the name
   */
  public String name() {
    return name;
  }

  /**
   * Returns the inputs.
   *
   * @return the inputs, in the order Keras flattens them
   */
  public List<GraphInput> inputs() {
    return inputs;
  }

  /**
   * Returns the outputs.
   *
   * @return the outputs, in the order Keras flattens them
   */
  public List<GraphOutput> outputs() {
    return outputs;
  }

  /**
   * Returns the weights.
   *
   * @return the weights by name
   */
  public Map<String, ArrayEntry> weights() {
    return weights;
  }

  /**
   * Returns the constants.
   *
   * @return the constants by name
   */
  public Map<String, ArrayEntry> constants() {
    return constants;
  }

  /**
   * Returns the states: what stays from call to call. An entry tells what a state starts with: a number for all elements, or a path.
   *
   * @return the states by name; none where each call gives the same for the same inputs
   */
  public Map<String, ArrayEntry> states() {
    return states;
  }

  /**
   * Returns what each call gives the states for the next one.
   *
   * @return the new values, in the order in which Keras assigns them; of several for one state the last one stays
   */
  public List<VariableUpdate> updates() {
    return updates;
  }

  /**
   * Returns the nodes.
   *
   * @return the nodes, in the order they run
   */
  public List<GraphNode> nodes() {
    return nodes;
  }

  /**
   * Returns which values each call of each Keras layer gave.
   *
   * @return the calls, in the order they run
   */
  public List<LayerOutput> layerOutputs() {
    return layerOutputs;
  }

  /**
   * Returns everything a node can read: inputs, weights, constants, states and node outputs.
   *
   * @return the values by name
   */
  public Map<String, ValueInfo> values() {
    return values;
  }

  /**
   * Returns the spec the graph was read from.
   *
   * @return a copy of the JSON
   */
  public ObjectNode spec() {
    return spec.deepCopy();
  }

  /**
   * Returns one member of the spec as text, without copying all of it.
   *
   * @param key a key of the spec, such as {@code layers}
   * @return its JSON
   */
  public String json(String key) {
    return String.valueOf(spec.get(key));
  }

  /** Collects the parts of a graph. */
  public static final class Builder {
    private final String name;
    private final ObjectNode spec;
    private final List<GraphInput> inputs = new ArrayList<>();
    private final List<GraphOutput> outputs = new ArrayList<>();
    private final Map<String, ArrayEntry> weights = new LinkedHashMap<>();
    private final Map<String, ArrayEntry> constants = new LinkedHashMap<>();
    private final Map<String, ArrayEntry> states = new LinkedHashMap<>();
    private final List<GraphNode> nodes = new ArrayList<>();
    private final List<VariableUpdate> updates = new ArrayList<>();
    private final List<LayerOutput> layerOutputs = new ArrayList<>();
    private final Map<String, ValueInfo> values = new LinkedHashMap<>();
    private final Set<String> ofBodies = new HashSet<>();

    /**
     * Starts a graph.
     *
     * @param name the model's name
     * @param spec the spec it is read from
     */
    public Builder(String name, ObjectNode spec) {
      this.name = name;
      this.spec = spec;
    }

    /**
     * Adds an input.
     *
     * @param input the input
     * @return this
     */
    public Builder input(GraphInput input) {
      define(input.value());
      inputs.add(input);
      return this;
    }

    /**
     * Adds a weight.
     *
     * @param entry the weight
     * @return this
     */
    public Builder weight(ArrayEntry entry) {
      define(entry.value());
      weights.put(entry.value().name(), entry);
      return this;
    }

    /**
     * Adds a constant.
     *
     * @param entry the constant
     * @return this
     */
    public Builder constant(ArrayEntry entry) {
      define(entry.value());
      constants.put(entry.value().name(), entry);
      return this;
    }

    /**
     * Adds a state.
     *
     * @param entry the state
     * @return this
     */
    public Builder state(ArrayEntry entry) {
      define(entry.value());
      states.put(entry.value().name(), entry);
      return this;
    }

    /**
     * Adds a node after the ones it reads from.
     *
     * @param node the node
     * @return this
     * @throws IllegalArgumentException if it reads what is not defined yet, or defines what is defined already
     */
    public Builder node(GraphNode node) {
      check(node);
      nodes.add(node);
      return this;
    }

    /**
     * Adds an output, after all nodes.
     *
     * @param output the output
     * @return this
     */
    public Builder output(GraphOutput output) {
      use(output.value(), "output '" + output.declared().name() + "'");
      boolean again = outputs.stream().anyMatch(o -> o.declared().name().equals(output.declared().name()));
      if (again) {
        throw new IllegalArgumentException("output '" + output.declared().name() + "' is declared twice");
      }
      outputs.add(output);
      return this;
    }

    /**
     * Adds what a state is given, after all nodes.
     *
     * @param update the state and its new value
     * @return this
     */
    public Builder update(VariableUpdate update) {
      ArrayEntry state = states.get(update.variable());
      if (state == null) {
        throw new IllegalArgumentException("'" + update.variable() + "', which is given a new value, is no state");
      }
      use(update.value(), "state '" + update.variable() + "'");
      ValueInfo value = values.get(update.value());
      if (value.type() != state.value().type() || !value.accepts(state.value().shape())) {
        throw new IllegalArgumentException("state " + state.value() + " is given a value of another kind, " + value);
      }
      updates.add(update);
      return this;
    }

    /**
     * Adds a layer's call, after all nodes.
     *
     * @param layer the call
     * @return this
     */
    public Builder layerOutput(LayerOutput layer) {
      layer.values().forEach(value -> use(value, "the outputs of layer '" + layer.scope() + "'"));
      layerOutputs.add(layer);
      return this;
    }

    /**
     * Makes the graph.
     *
     * @return the graph
     */
    public ModelGraph build() {
      return new ModelGraph(this);
    }

    private void check(GraphNode node) {
      for (String input : node.inputs()) {
        if (input != null) {
          use(input, node.toString());
        }
      }
      Dims.references(node.attrs().json()).forEach(value -> use(value, node.toString()));
      node.bodies().forEach(body -> check(body, node));
      node.outputs().forEach(this::define);
    }

    private void check(GraphBody body, GraphNode owner) {
      body.inputs().forEach(this::define);
      body.nodes().forEach(this::check);
      body.outputs().forEach(output -> use(output, "the outputs of graph '" + body.name() + "'"));
      for (String value : body.captured()) {
        // NB: memory of a value is used again after the last node that lists it.
        if (!owner.inputs().contains(value)) {
          throw new IllegalArgumentException(
              "value '" + value + "', read by graph '" + body.name() + "', is not among the inputs of " + owner);
        }
      }
      body.inputs().forEach(this::hide);
      body.nodes().forEach(node -> node.outputs().forEach(this::hide));
    }

    /** Ends the time in which a body's value is seen; its name stays taken. */
    private void hide(ValueInfo value) {
      values.remove(value.name());
      ofBodies.add(value.name());
    }

    private void define(ValueInfo value) {
      if (ofBodies.contains(value.name()) || values.putIfAbsent(value.name(), value) != null) {
        throw new IllegalArgumentException("value '" + value.name() + "' is defined twice");
      }
    }

    private void use(String value, String reader) {
      if (!values.containsKey(value)) {
        throw new IllegalArgumentException("value '" + value + "', read by " + reader + ", is not defined before it");
      }
    }
  }
}
