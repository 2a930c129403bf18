package io.kbridge.bundle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphOutput;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.StepGraph;
import io.kbridge.graph.StepMetric;
import io.kbridge.graph.StepVariable;
import io.kbridge.graph.TrainingSteps;
import io.kbridge.graph.VariableUpdate;
import io.kbridge.graph.WeightConstraint;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.BiFunction;

/** Reads the document of the steps; refuses whatever breaks a rule of docs/bundle-format.md, section 9. */
final class StepsReader {
  private static final String STEPS = "steps";

  private final ObjectNode json;
  private final ModelGraph model;
  private final Map<String, StepVariable> variables = new LinkedHashMap<>();

  private StepsReader(ObjectNode json, ModelGraph model) {
    this.json = json;
    this.model = model;
  }

  static TrainingSteps read(ObjectNode json, ModelGraph model) {
    if (json.has("refusal")) {
      throw refused(json, model);
    }
    try {
      return new StepsReader(json, model).readAll();
    } catch (IllegalArgumentException e) {
      throw Json.wrong(STEPS, "consistent graphs", e.getMessage());
    }
  }

  private static KBridgeException refused(ObjectNode json, ModelGraph model) {
    List<String> reasons = new ArrayList<>();
    for (JsonNode node : Json.array(json, "refusal", STEPS)) {
      ObjectNode problem = Json.object(node, STEPS + ".refusal");
      String where = STEPS + ".refusal";
      reasons.add(
          "'" + Json.text(problem, "path", where) + "' (" + Json.text(problem, "class_name", where) + "): "
              + Json.text(problem, "reason", where) + ". " + Json.text(problem, "advice", where));
    }
    return new KBridgeException(
        ErrorCode.NOT_TRAINABLE,
        "Expected a model that can be trained outside of Keras. Received: '" + model.name() + "', where " + String.join("; ", reasons));
  }

  private TrainingSteps readAll() {
    for (Map.Entry<String, JsonNode> entry : Json.object(json, "variables", STEPS).properties()) {
      String where = STEPS + ".variables['" + entry.getKey() + "']";
      if (model.weights().containsKey(entry.getKey()) || model.states().containsKey(entry.getKey())) {
        throw Json.wrong(where, "a name that no weight and no state of the model has", entry.getKey());
      }
      variables.put(entry.getKey(), readVariable(entry.getKey(), Json.object(entry.getValue(), where), where));
    }
    StepGraph training = readStep("training");
    StepGraph evaluation = readStep("evaluation");
    ModelGraph logs = graph(Json.object(json, "logs", STEPS), STEPS + ".logs");
    List<StepMetric> metrics = each(json, "metrics", STEPS, this::readMetric);
    List<WeightConstraint> constraints = each(json, "constraints", STEPS, this::readConstraint);
    return new TrainingSteps(training, evaluation, logs, variables, metrics, constraints);
  }

  private static StepVariable readVariable(String name, ObjectNode variable, String where) {
    String kind = Json.text(variable, "kind", where);
    if (!Set.of("metric", "state").contains(kind)) {
      throw Json.wrong(where + ".kind", "\"metric\" or \"state\"", kind);
    }
    return new StepVariable(GraphReader.start(name, variable, where), kind.equals("metric"));
  }

  private StepGraph readStep(String name) {
    ObjectNode step = Json.object(json, name, STEPS);
    String where = STEPS + "." + name;
    List<StepGraph.Input> inputs = each(step, "inputs", where, StepsReader::readInput);
    return new StepGraph(
        graph(step, where),
        inputs,
        Json.text(step, "loss", where),
        each(step, "losses", where, StepsReader::readLoss),
        each(step, "updates", where, StepsReader::readUpdate),
        each(step, "metric_updates", where, StepsReader::readUpdate));
  }

  /** Reads a graph that may read every weight of the model and every variable of the steps. */
  private ModelGraph graph(ObjectNode described, String where) {
    ModelGraph.Builder graph = new ModelGraph.Builder(model.name(), described);
    if (described.has("inputs")) {
      each(described, "inputs", where, StepsReader::readInput).forEach(input -> graph.input(new GraphInput(input.value(), false)));
    }
    model.weights().values().forEach(graph::weight);
    model.states().values().forEach(graph::weight);
    variables.values().forEach(variable -> graph.weight(variable.entry()));
    for (Map.Entry<String, JsonNode> entry : Json.object(described, "constants", where).properties()) {
      String at = where + ".constants['" + entry.getKey() + "']";
      graph.constant(GraphReader.entry(entry.getKey(), Json.object(entry.getValue(), at), at));
    }
    String bodies = where + ".bodies";
    new GraphReader(Json.object(described, "bodies", where), bodies, Set.of()).nodes(described, where).forEach(graph::node);
    if (described.has("outputs")) {
      each(described, "outputs", where, StepsReader::readOutput).forEach(graph::output);
    }
    return graph.build();
  }

  private static StepGraph.Input readInput(ObjectNode input, String where) {
    String role = Json.text(input, "role", where);
    if (StepGraph.Role.ofName(role) == null) {
      throw Json.wrong(where + ".role", "\"x\", \"y\" or \"sample_weight\"", role);
    }
    return new StepGraph.Input(
        GraphReader.value(input, where, true),
        StepGraph.Role.ofName(role),
        Json.text(input, "of", where),
        classNumber(input, "classes", where),
        classNumber(input, "ignored", where),
        input.path("broadcast").asBoolean(false));
  }

  private static Long classNumber(ObjectNode input, String name, String where) {
    JsonNode number = input.get(name);
    if (number != null && !number.isIntegralNumber()) {
      throw Json.wrong(where + "." + name, "an integer, or nothing", Json.brief(number));
    }
    return number == null ? null : number.longValue();
  }

  private static GraphOutput readOutput(ObjectNode output, String where) {
    return new GraphOutput(GraphReader.value(output, where, true), Json.text(output, "value", where));
  }

  private static StepGraph.Loss readLoss(ObjectNode loss, String where) {
    JsonNode weight = loss.get("weight");
    if (weight == null || !weight.isNull() && !weight.isNumber()) {
      throw Json.wrong(where + ".weight", "a number or null", Json.brief(weight));
    }
    return new StepGraph.Loss(
        Json.text(loss, "name", where), Json.text(loss, "value", where), weight.isNull() ? 1 : weight.doubleValue());
  }

  static VariableUpdate readUpdate(ObjectNode update, String where) {
    return new VariableUpdate(Json.text(update, "variable", where), Json.text(update, "value", where));
  }

  private StepMetric readMetric(ObjectNode metric, String where) {
    List<String> names = Json.texts(metric, "variables", where);
    for (String name : names) {
      if (!variables.containsKey(name)) {
        throw Json.wrong(where + ".variables", "variables of the steps", "'" + name + "'");
      }
    }
    JsonNode output = metric.get("output");
    return new StepMetric(
        Json.text(metric, "name", where),
        Json.text(metric, "class_name", where),
        output == null || output.isNull() ? null : Json.text(output, where + ".output"),
        Json.truth(metric, "weighted", false, where),
        names);
  }

  private WeightConstraint readConstraint(ObjectNode constraint, String where) {
    ModelGraph graph = graph(constraint, where);
    return new WeightConstraint(Json.text(constraint, "weight", where), graph, Json.text(constraint, "output", where));
  }

  private static <T> List<T> each(ObjectNode parent, String key, String where, BiFunction<ObjectNode, String, T> reader) {
    ArrayNode items = Json.array(parent, key, where);
    List<T> found = new ArrayList<>();
    for (int i = 0; i < items.size(); i++) {
      String at = where + "." + key + "[" + i + "]";
      found.add(reader.apply(Json.object(items.get(i), at), at));
    }
    return found;
  }
}
