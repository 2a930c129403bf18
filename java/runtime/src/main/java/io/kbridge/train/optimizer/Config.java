package io.kbridge.train.optimizer;

import com.fasterxml.jackson.databind.JsonNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.Attributes;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/** A Keras config that has to be understood completely: a key that nothing has read is an error. */
public final class Config {
  private final JsonNode json;
  private final String owner;
  private final Set<String> read = new HashSet<>();

  /**
   * Starts reading.
   *
   * @param json the config
   * @param owner the Keras class it belongs to, for messages
   */
  public Config(JsonNode json, String owner) {
    this.json = json;
    this.owner = owner;
    if (json == null || !json.isObject()) {
      throw wrong("a config", String.valueOf(json));
    }
  }

  /**
   * Marks keys as read that change no numbers.
   *
   * @param keys the keys
   */
  public void skip(String... keys) {
    read.addAll(List.of(keys));
  }

  /**
   * Reads a number.
   *
   * @param key its key
   * @return its value
   */
  public double number(String key) {
    Double value = optional(key);
    if (value == null) {
      throw wrong("a number as '" + key + "'", "none");
    }
    return value;
  }

  /**
   * Reads a number that Keras makes a float32 tensor of. A whole number there would make it compute with integers.
   *
   * @param key its key
   * @return its value in float32
   */
  public float decimal(String key) {
    double value = number(key);
    if (json.get(key).isIntegralNumber()) {
      throw wrong("a decimal number as '" + key + "', since Keras computes with integers otherwise", json.get(key).toString());
    }
    return (float) value;
  }

  /**
   * Reads a number that may be null or absent.
   *
   * @param key its key
   * @return its value, or null
   */
  public Double optional(String key) {
    JsonNode value = json(key);
    if (value == null || value.isNull()) {
      return null;
    }
    if (value.isNumber()) {
      return value.doubleValue();
    }
    Double special = value.isTextual() ? Attributes.special(value.textValue()) : null;
    if (special == null) {
      throw wrong("a number as '" + key + "'", value.toString());
    }
    return special;
  }

  /**
   * Reads a truth value.
   *
   * @param key its key
   * @return its value
   */
  public boolean flag(String key) {
    JsonNode value = json(key);
    if (value == null || !value.isBoolean()) {
      throw wrong("true or false as '" + key + "'", String.valueOf(value));
    }
    return value.booleanValue();
  }

  /**
   * Reads a list.
   *
   * @param key its key
   * @return its members; none if it is null
   */
  public List<JsonNode> list(String key) {
    JsonNode value = json(key);
    List<JsonNode> members = new ArrayList<>();
    if (value != null && value.isArray()) {
      value.forEach(members::add);
    } else if (value == null || !value.isNull()) {
      throw wrong("a list as '" + key + "'", String.valueOf(value));
    }
    return members;
  }

  /**
   * Reads a key as it is.
   *
   * @param key the key
   * @return its value, or null if there is none
   */
  public JsonNode json(String key) {
    read.add(key);
    return json.get(key);
  }

  /**
   * Checks that every key was read.
   *
   * @throws KBridgeException UNSUPPORTED_OP, naming all that were not
   */
  public void requireAllRead() {
    Set<String> left = new TreeSet<>();
    for (Iterator<String> names = json.fieldNames(); names.hasNext(); ) {
      left.add(names.next());
    }
    left.removeAll(read);
    if (!left.isEmpty()) {
      throw new KBridgeException(
          ErrorCode.UNSUPPORTED_OP,
          "Expected a config of " + owner + " with keys this runtime knows. Received: also " + left
              + ". Use a newer kbridge runtime, or compile without them.");
    }
  }

  /**
   * Makes the error for a value that cannot be used.
   *
   * @param expected what would do
   * @param received what came
   * @return the error, for the caller to throw
   */
  public KBridgeException wrong(String expected, String received) {
    return new KBridgeException(
        ErrorCode.BUNDLE_FORMAT,
        "Expected " + expected + " in the config of " + owner + ". Received: " + received + ". Compile and export the model again.");
  }
}
