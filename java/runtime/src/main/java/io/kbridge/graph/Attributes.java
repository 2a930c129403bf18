package io.kbridge.graph;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;

/**
 * The attributes of a node, read with their types. A missing attribute and one that is JSON null are the same thing; the
 * readers without a default refuse both. For integers that may be sizes known only at call time, use
 * {@code OpContext.dim} and {@code dims}.
 */
public final class Attributes {
  private final ObjectNode json;
  private final String owner;

  /**
   * Wraps a node's attributes.
   *
   * @param json the attributes
   * @param owner how messages name the node
   */
  public Attributes(ObjectNode json, String owner) {
    this.json = Objects.requireNonNull(json, "json");
    this.owner = Objects.requireNonNull(owner, "owner");
  }

  /**
   * Returns the names of all attributes, in the order of the bundle.
   *
   * @return the names
   */
  public Set<String> names() {
    Set<String> names = new LinkedHashSet<>();
    json.fieldNames().forEachRemaining(names::add);
    return names;
  }

  /**
   * Tells whether an attribute is there and not null.
   *
   * @param name the attribute
   * @return true if it has a value
   */
  public boolean has(String name) {
    return json.hasNonNull(name);
  }

  /**
   * Returns all attributes as JSON; not to be changed.
   *
   * @return the object
   */
  public ObjectNode json() {
    return json;
  }

  /**
   * Returns an attribute as JSON, for the few that are nested.
   *
   * @param name the attribute
   * @return its value; JSON null if it is absent
   */
  public JsonNode json(String name) {
    JsonNode value = json.get(name);
    return value == null ? json.nullNode() : value;
  }

  /**
   * Reads a text.
   *
   * @param name the attribute
   * @return its value
   */
  public String getString(String name) {
    JsonNode value = json(name);
    if (!value.isTextual()) {
      throw wrong(name, "a string");
    }
    return value.textValue();
  }

  /**
   * Reads a text that may be absent.
   *
   * @param name the attribute
   * @param otherwise the value if it is absent
   * @return its value
   */
  public String getString(String name, String otherwise) {
    return has(name) ? getString(name) : otherwise;
  }

  /**
   * Reads a boolean.
   *
   * @param name the attribute
   * @return its value
   */
  public boolean getBoolean(String name) {
    JsonNode value = json(name);
    if (!value.isBoolean()) {
      throw wrong(name, "true or false");
    }
    return value.booleanValue();
  }

  /**
   * Reads a boolean that may be absent.
   *
   * @param name the attribute
   * @param otherwise the value if it is absent
   * @return its value
   */
  public boolean getBoolean(String name, boolean otherwise) {
    return has(name) ? getBoolean(name) : otherwise;
  }

  /**
   * Reads an integer.
   *
   * @param name the attribute
   * @return its value
   */
  public long getLong(String name) {
    return toLong(name, json(name), "an integer");
  }

  /**
   * Reads an integer that may be absent.
   *
   * @param name the attribute
   * @param otherwise the value if it is absent
   * @return its value
   */
  public long getLong(String name, long otherwise) {
    return has(name) ? getLong(name) : otherwise;
  }

  /**
   * Reads a 32-bit integer.
   *
   * @param name the attribute
   * @return its value
   */
  public int getInt(String name) {
    return toInt(name, getLong(name));
  }

  /**
   * Reads a 32-bit integer that may be absent.
   *
   * @param name the attribute
   * @param otherwise the value if it is absent
   * @return its value
   */
  public int getInt(String name, int otherwise) {
    return has(name) ? getInt(name) : otherwise;
  }

  /**
   * Reads a number; the strings {@code "nan"}, {@code "inf"} and {@code "-inf"} stand for what JSON cannot write.
   *
   * @param name the attribute
   * @return its value
   */
  public double getDouble(String name) {
    JsonNode value = json(name);
    if (value.isNumber()) {
      return value.doubleValue();
    }
    Double special = value.isTextual() ? special(value.textValue()) : null;
    if (special == null) {
      throw wrong(name, "a number");
    }
    return special;
  }

  /**
   * Reads a number that may be absent.
   *
   * @param name the attribute
   * @param otherwise the value if it is absent
   * @return its value
   */
  public double getDouble(String name, double otherwise) {
    return has(name) ? getDouble(name) : otherwise;
  }

  /**
   * Reads a list of integers.
   *
   * @param name the attribute
   * @return its values
   */
  public long[] getLongs(String name) {
    JsonNode value = json(name);
    if (!value.isArray()) {
      throw wrong(name, "a list of integers");
    }
    long[] values = new long[value.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = toLong(name, value.get(i), "a list of integers");
    }
    return values;
  }

  /**
   * Reads a list of 32-bit integers.
   *
   * @param name the attribute
   * @return its values
   */
  public int[] getInts(String name) {
    long[] wide = getLongs(name);
    int[] values = new int[wide.length];
    for (int i = 0; i < wide.length; i++) {
      values[i] = toInt(name, wide[i]);
    }
    return values;
  }

  /**
   * Reads a list of texts.
   *
   * @param name the attribute
   * @return its values
   */
  public List<String> getStrings(String name) {
    JsonNode value = json(name);
    if (!value.isArray()) {
      throw wrong(name, "a list of strings");
    }
    List<String> values = new ArrayList<>();
    for (JsonNode element : value) {
      if (!element.isTextual()) {
        throw wrong(name, "a list of strings");
      }
      values.add(element.textValue());
    }
    return values;
  }

  /**
   * Makes the error for an attribute of a wrong kind or value.
   *
   * @param name the attribute
   * @param expected what was expected of it
   * @return the error, for the caller to throw
   */
  public KBridgeException wrong(String name, String expected) {
    return new KBridgeException(
        ErrorCode.BUNDLE_FORMAT,
        "Expected attribute '" + name + "' of " + owner + " to be " + expected + ". Received: " + brief(json.get(name))
            + ". Export the model again with this version of kbridge.");
  }

  /**
   * Reads the strings that stand for numbers JSON has no literal for.
   *
   * @param text {@code "nan"}, {@code "inf"} or {@code "-inf"}
   * @return the number, or null for any other text
   */
  public static Double special(String text) {
    switch (text) {
      case "nan":
        return Double.NaN;
      case "inf":
        return Double.POSITIVE_INFINITY;
      case "-inf":
        return Double.NEGATIVE_INFINITY;
      default:
        return null;
    }
  }

  /**
   * Writes the attributes as JSON.
   *
   * @return the text
   */
  @Override
  public String toString() {
    return json.toString();
  }

  private long toLong(String name, JsonNode value, String expected) {
    if (!value.isIntegralNumber() || !value.canConvertToLong()) {
      throw wrong(name, expected);
    }
    return value.longValue();
  }

  private int toInt(String name, long value) {
    if (value != (int) value) {
      throw wrong(name, "a 32-bit integer");
    }
    return (int) value;
  }

  private static String brief(JsonNode value) {
    String text = value == null ? "nothing" : value.toString();
    return text.length() <= 200 ? text : text.substring(0, 200) + "...";
  }
}
