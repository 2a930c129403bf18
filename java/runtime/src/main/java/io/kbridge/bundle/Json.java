package io.kbridge.bundle;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Reads JSON strictly: each key a reader needs must be there and be of the kind it should be. Values only, never classes. */
final class Json {
  private static final JsonMapper MAPPER =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .disable(JsonParser.Feature.AUTO_CLOSE_SOURCE)
          .build();

  private Json() {}

  static ObjectNode parse(byte[] text, String where) {
    JsonNode node;
    try {
      node = MAPPER.readTree(text);
    } catch (JsonProcessingException e) {
      throw wrong(where, "a JSON document", e.getOriginalMessage());
    } catch (IOException e) {
      throw wrong(where, "a JSON document in UTF-8", e.toString());
    }
    return object(node, where);
  }

  static ObjectNode object(JsonNode node, String where) {
    if (node instanceof ObjectNode) {
      return (ObjectNode) node;
    }
    throw wrong(where, "a JSON object", brief(node));
  }

  static ObjectNode object(ObjectNode parent, String key, String where) {
    return object(parent.get(key), where + "." + key);
  }

  static ArrayNode array(ObjectNode parent, String key, String where) {
    JsonNode node = parent.get(key);
    if (node instanceof ArrayNode) {
      return (ArrayNode) node;
    }
    throw wrong(where + "." + key, "a JSON list", brief(node));
  }

  static String text(ObjectNode parent, String key, String where) {
    return text(parent.get(key), where + "." + key);
  }

  static String text(JsonNode node, String where) {
    if (node != null && node.isTextual()) {
      return node.textValue();
    }
    throw wrong(where, "a string", brief(node));
  }

  static List<String> texts(ObjectNode parent, String key, String where) {
    List<String> texts = new ArrayList<>();
    for (JsonNode node : array(parent, key, where)) {
      texts.add(text(node, where + "." + key));
    }
    return texts;
  }

  static boolean truth(ObjectNode parent, String key, boolean otherwise, String where) {
    JsonNode node = parent.get(key);
    if (node == null) {
      return otherwise;
    }
    if (node.isBoolean()) {
      return node.booleanValue();
    }
    throw wrong(where + "." + key, "true or false", brief(node));
  }

  /** Reads a shape; null stands for any size where the caller allows it. */
  static long[] shape(ObjectNode parent, String key, boolean open, String where) {
    ArrayNode sizes = array(parent, key, where);
    long[] shape = new long[sizes.size()];
    for (int i = 0; i < shape.length; i++) {
      JsonNode size = sizes.get(i);
      if (open && size.isNull()) {
        shape[i] = -1;
      } else if (size.isIntegralNumber() && size.canConvertToLong() && size.longValue() >= 0) {
        shape[i] = size.longValue();
      } else {
        throw wrong(where + "." + key, "a list of sizes", brief(sizes));
      }
    }
    return shape;
  }

  static KBridgeException wrong(String where, String expected, String received) {
    return new KBridgeException(
        ErrorCode.BUNDLE_FORMAT,
        "Expected " + expected + " at " + where + ". Received: " + received
            + ". The bundle was not written by kbridge or is damaged: export the model again.");
  }

  static String brief(JsonNode node) {
    String text = node == null ? "nothing" : node.toString();
    return text.length() <= 120 ? text : text.substring(0, 120) + "...";
  }
}
