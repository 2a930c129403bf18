package io.kbridge.graph;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Objects;

/** A weight or constant as the spec declares it: a value, and where its content is. Immutable. */
public final class ArrayEntry {
  private final ValueInfo value;
  private final String path;
  private final String sha256;
  private final ObjectNode json;

  /**
   * Makes an entry.
   *
   * @param value name, shape and type
   * @param path its dataset, or null if the content is the scalar in {@code json.value}
   * @param sha256 the digest of the dataset's bytes, or null with a null path
   * @param json the whole entry as the spec has it
   */
  public ArrayEntry(ValueInfo value, String path, String sha256, ObjectNode json) {
    this.value = Objects.requireNonNull(value, "value");
    this.path = path;
    this.sha256 = sha256;
    this.json = Objects.requireNonNull(json, "json");
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
   * Returns the dataset.
   *
   * @return its path, or null for a scalar written in the spec
   */
  public String path() {
    return path;
  }

  /**
   * Returns the digest of the dataset's bytes.
   *
   * @return SHA-256 in hex, or null for a scalar written in the spec
   */
  public String sha256() {
    return sha256;
  }

  /**
   * Returns the scalar written in the spec.
   *
   * @return its JSON, or null if the content is in a dataset
   */
  public JsonNode scalar() {
    return path == null ? json.get("value") : null;
  }

  /**
   * Returns the whole entry: for a weight with its layer, initializer, regularizer and constraint.
   *
   * @return a copy of the JSON
   */
  public ObjectNode json() {
    return json.deepCopy();
  }
}
