package io.kbridge.host;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.Calibration;
import io.kbridge.ErrorCode;
import io.kbridge.KBridge;
import io.kbridge.KBridgeException;
import io.kbridge.KBridgeModel;
import io.kbridge.LoadOptions;
import io.kbridge.SelfTestReport;
import io.kbridge.TensorInfo;
import io.kbridge.graph.ElementType;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import org.nd4j.autodiff.samediff.SameDiff;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A loaded model, as other languages see it. Thread-safe; {@link #close} waits for calls that run. */
public final class HostModel implements AutoCloseable {
  private static final ObjectMapper JSON = new ObjectMapper();

  private final KBridgeModel model;

  private HostModel(KBridgeModel model) {
    this.model = model;
  }

  /**
   * Loads a bundle.
   *
   * @param path of the bundle
   * @param optionsJson an object that may have {@code engine}, {@code precision}, {@code device} (texts), {@code threads} (an integer), {@code
   *     verifyDigests} (a boolean) and {@code calibration} (an object of lists of two numbers); what is absent or null keeps its default
   * @return the model
   * @throws KBridgeException if the bundle cannot be read or run
   */
  public static HostModel load(String path, String optionsJson) {
    return new HostModel(KBridge.load(Paths.get(path), options(optionsJson)));
  }

  /** Reads load options. */
  static LoadOptions options(String optionsJson) {
    JsonNode json;
    try {
      json = JSON.readTree(optionsJson);
    } catch (JsonProcessingException e) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT, "Expected load options as a JSON object. Received: " + optionsJson + ".", e);
    }
    LoadOptions.Builder options = LoadOptions.builder();
    if (json.hasNonNull("engine")) {
      options.engine(json.get("engine").asText());
    }
    if (json.hasNonNull("precision")) {
      options.precision(json.get("precision").asText());
    }
    if (json.hasNonNull("device")) {
      options.device(json.get("device").asText());
    }
    if (json.hasNonNull("threads")) {
      options.threads(json.get("threads").asInt());
    }
    if (json.hasNonNull("verifyDigests")) {
      options.verifyDigests(json.get("verifyDigests").asBoolean());
    }
    if (json.hasNonNull("calibration")) {
      options.calibration(Calibration.of(JSON.convertValue(json.get("calibration"), new TypeReference<Map<String, double[]>>() {})));
    }
    return options.build();
  }

  /**
   * Prepares calls with inputs of certain shapes.
   *
   * @param shapes one per input, in the model's order; null for an optional input that is left out
   * @return the prepared call; the same shapes need it only once
   * @throws KBridgeException if there are not as many shapes as inputs
   */
  public HostCall call(long[][] shapes) {
    Map<String, TensorInfo> described = model.inputs();
    if (shapes.length != described.size()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected shapes of " + described.size() + " inputs: " + described.keySet() + ". Received: " + shapes.length + ".");
    }
    List<String> names = new ArrayList<>();
    List<ElementType> types = new ArrayList<>();
    List<long[]> given = new ArrayList<>();
    int i = 0;
    for (TensorInfo input : described.values()) {
      if (shapes[i] != null) {
        names.add(input.name());
        types.add(ElementType.of(input.dtype()));
        given.add(shapes[i]);
      }
      i++;
    }
    return new HostCall(
        model, names.toArray(new String[0]), types.toArray(new ElementType[0]), given.toArray(new long[0][]));
  }

  /**
   * Runs the bundle's golden samples.
   *
   * @return a JSON object: {@code ok}, {@code rtol}, {@code atol}, whether that one is {@code scaled}, and {@code outputs}, a list of {@code name}, {@code ok}, {@code
   *     elements}, {@code wrong}, {@code max_absolute_error} and {@code max_relative_error}
   * @throws KBridgeException if the bundle has no samples, or they cannot be run
   */
  public String selfTest() {
    SelfTestReport report = model.selfTest();
    ObjectNode json = JSON.createObjectNode();
    json.put("ok", report.ok()).put("rtol", report.rtol()).put("atol", report.atol()).put("scaled", report.scaled());
    ArrayNode outputs = json.putArray("outputs");
    for (SelfTestReport.Output output : report.outputs()) {
      outputs
          .addObject()
          .put("name", output.name())
          .put("ok", output.ok())
          .put("elements", output.elements())
          .put("wrong", output.wrong())
          .put("max_absolute_error", output.maxAbsoluteError())
          .put("max_relative_error", output.maxRelativeError());
    }
    return json.toString();
  }

  /**
   * Gives the model new weights, from the distributions that its initializers name.
   *
   * @param seed decides the weights
   * @throws KBridgeException if an initializer is not known
   */
  public void reinitialize(long seed) {
    model.reinitialize(seed);
  }

  /**
   * Returns copies of the states that layers keep from call to call.
   *
   * @return the arrays, in the spec's order
   */
  public HostResult states() {
    return new HostResult(new ArrayList<>(model.states().values()));
  }

  /**
   * Changes the states.
   *
   * @param addresses where the new content lies, of the type and shape of each, in the spec's order
   */
  public void assignStates(long[] addresses) {
    Map<String, INDArray> given = new LinkedHashMap<>();
    model.states().forEach(
        (name, state) -> given.put(name, HostCall.array(addresses[given.size()], ElementType.of(state.dataType()), state.shape())));
    model.setStates(given);
  }

  /** Sets all states to zero. */
  public void resetStates() {
    model.resetStates();
  }

  /**
   * Saves the model as a SameDiff graph, in the form of {@code SameDiff.load}.
   *
   * @param path the file; written beside it first, then renamed
   * @return the path
   */
  public String saveSameDiff(String path) {
    Path target = Paths.get(path).toAbsolutePath();
    Path part = target.resolveSibling("." + target.getFileName() + "." + UUID.randomUUID() + ".part");
    SameDiff graph = model.sameDiff();
    try {
      try (OutputStream stream = Files.newOutputStream(part)) {
        graph.save(stream, true);
      }
      Files.move(part, target, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT, "Expected to write a SameDiff graph to '" + path + "'. Received: " + e + ". Give a file that can be written.", e);
    } finally {
      part.toFile().delete();
    }
    return path;
  }

  /** Frees the model's memory; results that were given out stay. May be called again. */
  @Override
  public void close() {
    model.close();
  }
}
