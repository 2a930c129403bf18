package io.kbridge.train;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.Dims;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.ShapeInference;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** The nodes of a graph as they are for known shapes of its inputs: no size is open, and no attribute depends on one. */
final class ConcreteGraph {
  private final Map<String, long[]> shapes;

  private ConcreteGraph(Map<String, long[]> shapes) {
    this.shapes = shapes;
  }

  /**
   * Settles all sizes.
   *
   * @param nodes the graph's nodes
   * @param given what the nodes read and none of them makes, with known sizes; an optional input that is left out is absent
   * @param wanted names of the values that are asked for
   * @param registry the ops
   * @return the nodes that the wanted values depend on
   */
  static List<GraphNode> nodes(List<GraphNode> nodes, Collection<ValueInfo> given, Collection<String> wanted, OpRegistry registry) {
    return new ConcreteGraph(ShapeInference.shapes(nodes, given, wanted, registry)).settle(nodes);
  }

  private List<GraphNode> settle(List<GraphNode> nodes) {
    return nodes.stream()
        .filter(node -> shapes.containsKey(node.outputs().get(0).name()))
        .map(this::settle)
        .collect(Collectors.toList());
  }

  private GraphNode settle(GraphNode node) {
    ObjectNode attrs = (ObjectNode) settle(node.attrs().json().deepCopy());
    List<String> inputs = new ArrayList<>();
    node.inputs().forEach(input -> inputs.add(shapes.containsKey(input) ? input : null));
    List<GraphBody> bodies = new ArrayList<>();
    for (GraphBody body : node.bodies()) {
      bodies.add(new GraphBody(body.name(), settleValues(body.inputs()), settle(body.nodes()), body.outputs()));
    }
    return new GraphNode(
        node.name(), node.op(), node.scope(), inputs, new Attributes(attrs, node.toString()), settleValues(node.outputs()), bodies);
  }

  private List<ValueInfo> settleValues(List<ValueInfo> values) {
    return values.stream().map(value -> new ValueInfo(value.name(), shapes.get(value.name()), value.type())).collect(Collectors.toList());
  }

  private JsonNode settle(JsonNode json) {
    if (Dims.is(json)) {
      return LongNode.valueOf(Dims.resolve(json, shapes::get));
    }
    if (json.isArray()) {
      ArrayNode list = (ArrayNode) json;
      for (int i = 0; i < list.size(); i++) {
        list.set(i, settle(list.get(i)));
      }
    } else if (json.isObject()) {
      ObjectNode object = (ObjectNode) json;
      for (Iterator<String> names = json.fieldNames(); names.hasNext(); ) {
        String name = names.next();
        object.replace(name, settle(json.get(name)));
      }
    }
    return json;
  }
}
