package io.kbridge.host;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.graph.ElementType;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import py4j.GatewayServer;

/**
 * A JVM that runs models for a program of another language, which started it as its child process.
 *
 * <p>What the parent says comes as one line of JSON on the standard input: {@code token}, which every connection has to show, and {@code
 * parent}, the parent's process number. What is answered is one line on the standard output: {@link #GREETING} and JSON with the {@code port}
 * on the loopback interface at which a Py4J gateway listens. Its entry point is the {@link Requests} of a new {@code HostProcess}.
 *
 * <p>The process ends when its standard input does, or when its parent is not its parent any more: so it ends with the parent, however that
 * ends.
 */
public final class HostProcess {
  /** What the answer on the standard output begins with. */
  public static final String GREETING = "kbridge-host: ";

  private static final int LEAST_TOKEN = 32;
  private static final long WATCH_MS = 1000;
  private static final ObjectMapper JSON = new ObjectMapper();

  HostProcess() {}

  /**
   * Serves until the parent ends.
   *
   * @param args none
   * @throws IOException if the standard input cannot be read or no port be had
   */
  public static void main(String[] args) throws IOException {
    BufferedReader fromParent = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    String line = fromParent.readLine();
    JsonNode told = line == null ? JSON.createObjectNode() : JSON.readTree(line);
    if (told.path("token").asText().length() < LEAST_TOKEN || !told.path("parent").isIntegralNumber()) {
      System.err.println("Expected a token of at least " + LEAST_TOKEN + " characters and the parent's process number on the standard input. "
          + "Received: neither. This program is started by kbridge, not by hand.");
      System.exit(2);
    }
    watch("kbridge-parent-input", () -> endWith(fromParent));
    watch("kbridge-parent-process", () -> endWith(told.get("parent").asLong()));
    GatewayServer server =
        new GatewayServer.GatewayServerBuilder(new Requests(new HostProcess()))
            .javaAddress(InetAddress.getLoopbackAddress())
            .javaPort(0)
            .authToken(told.get("token").asText())
            .build();
    server.start();
    ObjectNode answer = JSON.createObjectNode();
    answer.put("port", server.getListeningPort());
    System.out.println(GREETING + answer);
    // NB: nothing else is said there: what libraries print is told as the last words of a JVM that died.
    System.setOut(System.err);
  }

  /**
   * Maps memory that the parent shares.
   *
   * @param file by which the memory is opened
   * @param bytes its size
   * @return the memory
   */
  public SharedSegment share(String file, long bytes) {
    return new SharedSegment(file, bytes);
  }

  /**
   * Tells what runs.
   *
   * @return a JSON object: {@code version} of Java, {@code home}, and {@code types}, the names of the element types by their ordinal
   */
  public String describe() {
    ObjectNode json = JSON.createObjectNode();
    json.put("version", System.getProperty("java.version")).put("home", System.getProperty("java.home"));
    for (ElementType type : ElementType.values()) {
      json.withArray("types").add(type.kerasName());
    }
    return json.toString();
  }

  private static void watch(String name, Runnable work) {
    Thread thread = new Thread(work, name);
    thread.setDaemon(true);
    thread.start();
  }

  private static void endWith(BufferedReader fromParent) {
    try {
      while (fromParent.readLine() != null) {
        continue; // Nothing more is said.
      }
    } catch (IOException e) {
      System.err.println("kbridge: the parent's pipe: " + e);
    }
    // NB: halt, because computations that run must not hold the end up.
    Runtime.getRuntime().halt(0);
  }

  /** Ends with the parent where a process that the parent forked holds the pipe open. */
  private static void endWith(long parent) {
    try {
      while (ProcessHandle.current().parent().map(ProcessHandle::pid).orElse(-1L) == parent) {
        Thread.sleep(WATCH_MS);
      }
    } catch (InterruptedException e) {
      System.err.println("kbridge: interrupted while watching the parent: " + e);
    }
    Runtime.getRuntime().halt(0);
  }
}
