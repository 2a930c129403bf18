package io.kbridge.bundle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Reads the nodes of one graph, with the bodies of its loops and branches, each of which one node runs. */
final class GraphReader {
  private static final int DEEPEST = 64;

  private final ObjectNode bodies;
  private final String bodiesAt;
  private final Set<String> met;
  private int depth;

  /**
   * Makes a reader.
   *
   * @param bodies the graphs that nodes may run, by name
   * @param bodiesAt where in the document they are
   * @param taken those of them that no node may run
   */
  GraphReader(ObjectNode bodies, String bodiesAt, Set<String> taken) {
    this.bodies = bodies;
    this.bodiesAt = bodiesAt;
    this.met = new HashSet<>(taken);
  }

  /** Reads what a weight or constant is and where its content lies. */
  static ArrayEntry entry(String name, ObjectNode json, String where) {
    if (!json.has("path") && json.has("value")) {
      long[] shape = json.has("shape") ? Json.shape(json, "shape", false, where) : new long[0];
      if (shape.length != 0) {
        throw Json.wrong(where + ".shape", "the shape [] of a scalar", Arrays.toString(shape));
      }
      return new ArrayEntry(new ValueInfo(name, shape, type(json, where)), null, null, json);
    }
    String sha256 = Json.text(json, "sha256", where);
    if (!sha256.matches("[0-9a-f]{64}")) {
      throw Json.wrong(where + ".sha256", "a SHA-256 digest, 64 hex digits", sha256);
    }
    return new ArrayEntry(closed(name, json, where), Json.text(json, "path", where), sha256, json);
  }

  /** Reads what a variable is and what it starts with: a number for all elements, or an array. */
  static ArrayEntry start(String name, ObjectNode json, String where) {
    return json.has("value") ? new ArrayEntry(closed(name, json, where), null, null, json) : entry(name, json, where);
  }

  /** Reads the nodes of a graph, and the bodies that they run. */
  List<GraphNode> nodes(ObjectNode json, String where) {
    List<GraphNode> nodes = new ArrayList<>();
    int count = 0;
    for (JsonNode node : Json.array(json, "nodes", where)) {
      nodes.add(readNode(node, where + ".nodes[" + count++ + "]"));
    }
    return nodes;
  }

  /** Reads the graphs that attributes name: {@code body}, or the list {@code bodies}. */
  private List<GraphBody> readBodies(ObjectNode attrs, String where) {
    List<GraphBody> bodies = new ArrayList<>();
    if (attrs.has("body")) {
      bodies.add(readBody(Json.text(attrs, "body", where), where));
    } else if (attrs.has("bodies")) {
      Json.texts(attrs, "bodies", where).forEach(name -> bodies.add(readBody(name, where)));
    }
    return bodies;
  }

  private GraphBody readBody(String name, String where) {
    // NB: so no graph runs itself, and a small file cannot ask for a large graph.
    if (!met.add(name)) {
      throw Json.wrong(where, "a graph that no other node runs", "'" + name + "' a second time");
    }
    if (++depth > DEEPEST) {
      throw Json.wrong(where, "at most " + DEEPEST + " graphs inside each other", "one more, '" + name + "'");
    }
    ObjectNode json = Json.object(bodies, name, bodiesAt);
    String at = bodiesAt + "['" + name + "']";
    List<ValueInfo> inputs = new ArrayList<>();
    for (JsonNode input : Json.array(json, "inputs", at)) {
      inputs.add(value(Json.object(input, at + ".inputs"), at + ".inputs", true));
    }
    GraphBody body = new GraphBody(name, inputs, nodes(json, at), Json.texts(json, "outputs", at));
    depth--;
    return body;
  }

  private GraphNode readNode(JsonNode node, String where) {
    ObjectNode json = Json.object(node, where);
    String name = Json.text(json, "name", where);
    String op = Json.text(json, "op", where);
    List<String> inputs = new ArrayList<>();
    for (JsonNode input : Json.array(json, "inputs", where)) {
      inputs.add(input.isNull() ? null : Json.text(input, where + ".inputs"));
    }
    List<ValueInfo> outputs = new ArrayList<>();
    for (JsonNode output : Json.array(json, "outputs", where)) {
      outputs.add(value(Json.object(output, where + ".outputs"), where + ".outputs", true));
    }
    if (outputs.isEmpty()) {
      throw Json.wrong(where + ".outputs", "at least one output", "none");
    }
    ObjectNode attrs = Json.object(json, "attrs", where);
    return new GraphNode(
        name,
        op,
        Json.text(json, "scope", where),
        inputs,
        new Attributes(attrs, "node '" + name + "' (op " + op + ")"),
        outputs,
        readBodies(attrs, where + ".attrs"));
  }

  /** Reads name, shape and type of an array whose sizes are all known. */
  static ValueInfo closed(String name, ObjectNode json, String where) {
    return new ValueInfo(name, Json.shape(json, "shape", false, where), type(json, where));
  }

  static ValueInfo value(ObjectNode json, String where, boolean open) {
    return new ValueInfo(Json.text(json, "name", where), Json.shape(json, "shape", open, where), type(json, where));
  }

  private static ElementType type(ObjectNode json, String where) {
    String name = Json.text(json, "dtype", where);
    ElementType type = ElementType.ofName(name);
    if (type == null) {
      throw Json.wrong(where + ".dtype", "one of " + ElementType.names(), "'" + name + "'");
    }
    return type;
  }
}
