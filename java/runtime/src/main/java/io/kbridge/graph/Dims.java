package io.kbridge.graph;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.function.Function;

/**
 * Sizes that are known only at call time: {@code {"dims": [["value", axis], ...], "num": 3, "den": 2, "add": 1}} is
 * {@code floor(num * product(dims) / den) + add}.
 */
public final class Dims {
  private Dims() {}

  /**
   * Tells whether JSON is such an object.
   *
   * @param json any JSON
   * @return true if it stands for a size
   */
  public static boolean is(JsonNode json) {
    return json.isObject() && json.has("dims");
  }

  /**
   * Finds the values whose shapes some JSON depends on.
   *
   * @param json any JSON, such as all attributes of a node
   * @return their names
   * @throws IllegalArgumentException if a size is not written as it should be
   */
  public static Set<String> references(JsonNode json) {
    Set<String> names = new LinkedHashSet<>();
    collect(json, names);
    return names;
  }

  /**
   * Computes a size.
   *
   * @param json the object
   * @param shapes gives the shape of a value by its name
   * @return the size
   * @throws IllegalArgumentException if the object is not written as it should be
   * @throws ArithmeticException if a number does not fit
   */
  public static long resolve(JsonNode json, Function<String, long[]> shapes) {
    check(json);
    long product = integer(json, "num", 1);
    for (JsonNode pair : json.get("dims")) {
      long[] shape = shapes.apply(pair.get(0).textValue());
      int axis = pair.get(1).intValue();
      if (axis >= shape.length) {
        throw new IllegalArgumentException("axis " + axis + " of '" + pair.get(0).textValue() + "', which has rank " + shape.length);
      }
      product = Math.multiplyExact(product, shape[axis]);
    }
    return Math.addExact(Math.floorDiv(product, integer(json, "den", 1)), integer(json, "add", 0));
  }

  private static void collect(JsonNode json, Set<String> names) {
    if (is(json)) {
      check(json);
      json.get("dims").forEach(pair -> names.add(pair.get(0).textValue()));
    } else {
      json.forEach(child -> collect(child, names));
    }
  }

  private static void check(JsonNode json) {
    boolean good = json.get("dims").isArray() && integer(json, "den", 1) != 0;
    integer(json, "num", 1);
    integer(json, "add", 0);
    for (JsonNode pair : json.get("dims")) {
      good &= pair.isArray() && pair.size() == 2 && pair.get(0).isTextual() && pair.get(1).canConvertToInt()
          && pair.get(1).isIntegralNumber() && pair.get(1).intValue() >= 0;
    }
    if (!good) {
      throw new IllegalArgumentException(json.toString());
    }
  }

  private static long integer(JsonNode json, String key, long otherwise) {
    JsonNode value = json.get(key);
    if (value == null) {
      return otherwise;
    }
    if (!value.isIntegralNumber() || !value.canConvertToLong()) {
      throw new IllegalArgumentException(json.toString());
    }
    return value.longValue();
  }
}
