package io.kbridge.host;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Calls methods of this package's objects by name, for a program in another process: arguments come and results go as JSON, so that a call is
 * one round trip whatever its arguments are. Objects that a method returns stay here and are named by a number, until they are forgotten.
 * Thread-safe.
 */
public final class Requests {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String PACKAGE = Requests.class.getPackageName() + '.';

  private final Map<Long, Object> objects = new ConcurrentHashMap<>();
  private final Map<String, Method> methods = new ConcurrentHashMap<>();
  private final AtomicLong last = new AtomicLong();

  /**
   * Starts with one object, whose number is 0.
   *
   * @param root that object
   */
  Requests(Object root) {
    objects.put(0L, root);
  }

  /**
   * Calls a method.
   *
   * @param request a JSON object: {@code target}, the object's number, or the name of a class of this package; {@code method}; {@code args}, a
   *     list; and optionally {@code segment}, the number of a {@link SharedSegment} that the call works on, and {@code forget}, the numbers of
   *     objects that nobody asks any more
   * @return a JSON object: {@code value}, {@code object} (a number), or {@code error} with {@code code}, {@code kind}, {@code message}, {@code
   *     shown} and {@code trace}
   */
  public String call(String request) {
    ObjectNode answer = JSON.createObjectNode();
    try {
      JsonNode json = JSON.readTree(request);
      json.path("forget").forEach(number -> forget(number.asLong()));
      answer(answer, invoke(json));
    } catch (InvocationTargetException e) {
      error(answer, e.getCause());
    } catch (JsonProcessingException | ReflectiveOperationException | RuntimeException | Error e) {
      // NB: an Error too: that of memory is one, and the program asks for an answer.
      error(answer, e);
    }
    return answer.toString();
  }

  private Object invoke(JsonNode json) throws ReflectiveOperationException, JsonProcessingException {
    JsonNode named = json.get("target");
    Object target = named.isTextual() ? null : object(named.asLong());
    Class<?> owner = target == null ? Class.forName(PACKAGE + named.asText()) : target.getClass();
    JsonNode given = json.get("args");
    Method method = method(owner, json.get("method").asText(), given.size(), target == null);
    Object[] args = new Object[given.size()];
    for (int i = 0; i < args.length; i++) {
      args[i] = JSON.treeToValue(given.get(i), method.getParameterTypes()[i]);
    }
    if (!json.has("segment")) {
      return method.invoke(target, args);
    }
    SharedSegment segment = (SharedSegment) object(json.get("segment").asLong());
    segment.retain();
    try {
      return method.invoke(target, args);
    } finally {
      segment.release();
    }
  }

  private Object object(long number) {
    Object object = objects.get(number);
    if (object == null) {
      throw new KBridgeException(
          ErrorCode.INTERNAL, "Expected the number of an object of this JVM. Received: " + number + ", which was forgotten or never was.");
    }
    return object;
  }

  private Method method(Class<?> owner, String name, int count, boolean isStatic) {
    return methods.computeIfAbsent(
        owner.getName() + ' ' + name + ' ' + count + ' ' + isStatic,
        key -> {
          for (Method method : owner.getMethods()) {
            boolean ours = method.getDeclaringClass() == owner && Modifier.isStatic(method.getModifiers()) == isStatic;
            if (ours && method.getName().equals(name) && method.getParameterCount() == count) {
              return method;
            }
          }
          throw new KBridgeException(
              ErrorCode.INTERNAL,
              "Expected a method of " + owner.getName() + " with " + count + " parameters. Received: " + name
                  + ". The Java library and the Python package are of different versions: install both again.");
        });
  }

  private void answer(ObjectNode answer, Object result) {
    if (result == null || result instanceof String || result instanceof Number || result instanceof Boolean || result.getClass().isArray()) {
      answer.set("value", JSON.valueToTree(result));
      return;
    }
    long number = last.incrementAndGet();
    objects.put(number, result);
    answer.put("object", number);
  }

  private void forget(long number) {
    Object object = objects.remove(number);
    if (object instanceof SharedSegment) {
      ((SharedSegment) object).release();
    } else if (object instanceof AutoCloseable) {
      // NB: its native memory would stay, for an object that nobody can close any more.
      try {
        ((AutoCloseable) object).close();
      } catch (Exception e) {
        System.err.println("kbridge: closing what was forgotten: " + e);
      }
    }
  }

  private static void error(ObjectNode answer, Throwable thrown) {
    StringWriter trace = new StringWriter();
    thrown.printStackTrace(new PrintWriter(trace));
    ObjectNode error = answer.putObject("error");
    error.put("code", thrown instanceof KBridgeException ? ((KBridgeException) thrown).code().name() : null);
    error.put("kind", thrown.getClass().getName()).put("message", thrown.getMessage());
    error.put("shown", thrown.toString()).put("trace", trace.toString());
  }
}
