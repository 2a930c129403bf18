package io.kbridge;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import javax.net.SocketFactory;
import py4j.CallbackClient;
import py4j.Gateway;
import py4j.GatewayServer;
import py4j.Py4JException;

/** A Python process that runs {@code kbridge.for_java}: started, spoken to, and ended with this JVM whatever happens. */
final class PythonProcess implements AutoCloseable {
  private static final String MODULE = "kbridge.for_java";
  private static final String GREETING = "kbridge-python: ";
  private static final int TAIL_LINES = 15;
  private static final int TOKEN_BYTES = 32;
  private static final long END_SECONDS = 5;
  // NB: py4j's cleaner of idle connections is a thread that keeps a JVM from ending.
  private static final long NO_CLEANER = 0;
  private static final ObjectMapper JSON = new ObjectMapper();

  /** The entry point of the Python side. */
  interface Side {
    /**
     * Does something.
     *
     * @param request JSON
     * @return JSON
     */
    String call(String request);
  }

  private final Process process;
  private final Deque<String> said = new ArrayDeque<>();
  private final CompletableFuture<Integer> port = new CompletableFuture<>();
  private CallbackClient client;
  private Side side;

  private PythonProcess(Process process) {
    this.process = process;
  }

  static PythonProcess start(String python, Duration startTimeout, Duration timeout) {
    GatewayServer.turnLoggingOff(); // NB: it would log every request, the token included
    Process started;
    try {
      started = new ProcessBuilder(python, "-m", MODULE).redirectErrorStream(true).start();
    } catch (IOException e) {
      throw new KBridgeException(
          ErrorCode.PYTHON_UNAVAILABLE,
          "Expected to start the Python '" + python + "'. Received: " + e.getMessage()
              + ". Name one with kbridge installed: KBridgePython.builder().python(...), or the environment variable KBRIDGE_PYTHON.",
          e);
    }
    PythonProcess python3 = new PythonProcess(started);
    Thread reader = new Thread(python3::read, "kbridge-python-output");
    reader.setDaemon(true);
    reader.start();
    try {
      python3.greet(startTimeout, timeout);
    } catch (KBridgeException e) {
      python3.close();
      throw e;
    }
    return python3;
  }

  boolean alive() {
    return process.isAlive();
  }

  /**
   * Has something done.
   *
   * @param request what
   * @return what came of it
   * @throws KBridgeException with the code of what Python raised, or PYTHON_UNAVAILABLE
   */
  JsonNode call(JsonNode request) {
    JsonNode answer;
    try {
      answer = JSON.readTree(side.call(request.toString()));
    } catch (Py4JException | JsonProcessingException e) {
      throw new KBridgeException(
          ErrorCode.PYTHON_UNAVAILABLE,
          "Expected the Python process " + process.pid() + " to answer. Received: it " + obituary()
              + "The next call starts a new one.",
          e);
    }
    JsonNode error = answer.get("error");
    if (error != null) {
      throw new KBridgeException(ErrorCode.valueOf(error.get("code").asText()), error.get("message").asText());
    }
    return answer.get("value");
  }

  @Override
  public void close() {
    if (client != null) {
      client.shutdown();
    }
    try {
      process.getOutputStream().close(); // NB: it ends when this does
      if (!process.waitFor(END_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
    } catch (IOException e) {
      process.destroyForcibly();
    } catch (InterruptedException e) {
      process.destroyForcibly();
      Thread.currentThread().interrupt();
    }
  }

  private void greet(Duration startTimeout, Duration timeout) {
    byte[] random = new byte[TOKEN_BYTES];
    new SecureRandom().nextBytes(random);
    StringBuilder token = new StringBuilder();
    for (byte b : random) {
      token.append(String.format("%02x", b));
    }
    try {
      OutputStream toPython = process.getOutputStream();
      toPython.write((token + "\n").getBytes(StandardCharsets.US_ASCII));
      toPython.flush();
      int found = port.get(startTimeout.toMillis(), TimeUnit.MILLISECONDS);
      client = new CallbackClient(
          found, InetAddress.getLoopbackAddress(), token.toString(), NO_CLEANER, TimeUnit.SECONDS, SocketFactory.getDefault(), false,
          (int) timeout.toMillis());
      side = (Side) client.getPythonServerEntryPoint(new Gateway(this, client), new Class<?>[] {Side.class});
    } catch (IOException | ExecutionException e) {
      throw notStarted(obituary(), e);
    } catch (TimeoutException e) {
      throw notStarted("did not listen within " + startTimeout.toMillis() + " ms, and was ended.\n", e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw notStarted("was waited for by a thread that was interrupted.\n", e);
    }
  }

  private KBridgeException notStarted(String how, Exception cause) {
    return new KBridgeException(
        ErrorCode.PYTHON_UNAVAILABLE,
        "Expected the Python process " + process.pid() + " to start. Received: it " + how
            + "It needs a Python with the package kbridge[process] and a backend of Keras.",
        cause);
  }

  private void read() {
    try (BufferedReader lines = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (line.startsWith(GREETING)) {
          port.complete(Integer.valueOf(line.substring(GREETING.length()).trim()));
        } else {
          remember(line);
        }
      }
    } catch (IOException e) {
      remember(e.toString());
    }
    port.completeExceptionally(new IOException("the process ended"));
  }

  private void remember(String line) {
    synchronized (said) {
      if (said.size() == TAIL_LINES) {
        said.removeFirst();
      }
      said.addLast(line);
    }
  }

  private String obituary() {
    String how = "did not answer in time, or broke the connection off, and was ended";
    try {
      if (process.waitFor(END_SECONDS, TimeUnit.SECONDS)) {
        how = "ended with exit status " + process.exitValue();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    close();
    synchronized (said) {
      return how + ". The last it said:\n  " + (said.isEmpty() ? "nothing" : String.join("\n  ", said)) + "\n";
    }
  }
}
