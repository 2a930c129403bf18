package io.kbridge;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Objects;

/**
 * A Python process that does what only Python can: making a bundle of a Keras model, and comparing a bundle with native Keras. It is started
 * when first asked, and again after it died; it ends with {@link #close()} and with this JVM, however that ends.
 *
 * <p>The process needs a Python with the package {@code kbridge[process]} and a backend of Keras. It is spoken to through Py4J on the loopback
 * interface, and answers to this JVM only.
 *
 * <p>Thread safe; it does one thing at a time.
 */
public final class KBridgePython implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Builder options;
  private PythonProcess process;
  private boolean closed;

  private KBridgePython(Builder options) {
    this.options = options;
  }

  /**
   * Makes one with the Python that the environment variable {@code KBRIDGE_PYTHON} names, or else {@code python3}.
   *
   * @return it; nothing is started yet
   */
  public static KBridgePython create() {
    return builder().build();
  }

  /**
   * Starts on other options.
   *
   * @return a builder that holds the defaults
   */
  public static Builder builder() {
    return new Builder();
  }

  /**
   * Makes a bundle of a Keras model file. The bundle appears whole or not at all.
   *
   * @param source a {@code .keras} file, or an HDF5 file of Keras 1, 2 or 3
   * @param bundle the bundle to write; an existing one is replaced
   * @return what was exported
   * @throws KBridgeException EXPORT_FAILED if the model cannot be exported (the message lists every part that is in the way),
   *     BUNDLE_NOT_FOUND or BUNDLE_FORMAT if the source is not there or no model, PYTHON_UNAVAILABLE
   */
  public ExportReport export(Path source, Path bundle) {
    JsonNode told = ask("export", source, bundle);
    return new ExportReport(
        bundle,
        told.get("model").asText(),
        told.get("operations").asInt(),
        told.get("weights").asInt(),
        told.get("weight_bytes").asLong(),
        JSON.convertValue(told.get("notes"), String[].class));
  }

  /**
   * Compares native Keras with the JVM, on random inputs, output by output and layer by layer.
   *
   * @param source the model file, as for {@link #export}
   * @param bundle the bundle that was made of it
   * @return the comparison
   * @throws KBridgeException as {@link #export} does
   */
  public ParityReport check(Path source, Path bundle) {
    JsonNode told = ask("check", source, bundle);
    return new ParityReport(
        told.get("ok").asBoolean(),
        told.get("model").asText(),
        told.get("layers").size(),
        told.get("max_abs_error").asDouble(),
        told.get("first_divergence").isNull() ? null : told.get("first_divergence").asText(),
        told.toString());
  }

  /** Ends the process. May be called again; other calls throw {@link IllegalStateException} from then on. */
  @Override
  public synchronized void close() {
    closed = true;
    if (process != null) {
      process.close();
      process = null;
    }
  }

  private synchronized JsonNode ask(String method, Path source, Path bundle) {
    if (closed) {
      throw new IllegalStateException("Expected an open KBridgePython. Received: a call after close(). Make another one.");
    }
    if (process == null || !process.alive()) {
      process = PythonProcess.start(options.python, options.startTimeout, options.timeout);
    }
    ObjectNode request = JSON.createObjectNode();
    request.put("method", method);
    request.put("source", source.toAbsolutePath().toString()).put("bundle", bundle.toAbsolutePath().toString());
    return process.call(request);
  }

  /** Collects options. */
  public static final class Builder {
    private String python = Objects.requireNonNullElse(System.getenv("KBRIDGE_PYTHON"), "python3");
    private Duration startTimeout = Duration.ofMinutes(2);
    private Duration timeout = Duration.ofMinutes(30);

    private Builder() {}

    /**
     * Chooses the Python.
     *
     * @param value a program, such as {@code /opt/venv/bin/python}
     * @return this
     */
    public Builder python(String value) {
      python = Objects.requireNonNull(value, "python");
      return this;
    }

    /**
     * Chooses how long the process may take until it listens.
     *
     * @param value the time, two minutes by default
     * @return this
     */
    public Builder startTimeout(Duration value) {
      startTimeout = positive("startTimeout", value);
      return this;
    }

    /**
     * Chooses how long one call may take. After that the process is ended.
     *
     * @param value the time, half an hour by default
     * @return this
     */
    public Builder timeout(Duration value) {
      timeout = positive("timeout", value);
      return this;
    }

    /**
     * Makes it.
     *
     * @return it; nothing is started yet
     */
    public KBridgePython build() {
      return new KBridgePython(this);
    }

    private static Duration positive(String name, Duration value) {
      if (value.isNegative() || value.isZero() || value.toMillis() > Integer.MAX_VALUE) {
        throw new KBridgeException(
            ErrorCode.INVALID_INPUT,
            "Expected " + name + " between a millisecond and 24 days. Received: " + value + ". Give such a time.");
      }
      return value;
    }
  }
}
