package io.kbridge.bundle;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.jhdf.HdfFile;
import io.jhdf.api.Attribute;
import io.jhdf.api.Dataset;
import io.jhdf.api.Group;
import io.jhdf.api.Node;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ElementType;
import io.kbridge.plan.NativeArrays;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Collectors;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Saves a bundle with other content: trained weights, an optimizer's state. What the bundle has besides stays as it is, except for golden
 * samples: they tell what the weights of before gave.
 *
 * <p>Made before training begins: it reads all that saving needs and that lies in the file alone, so that a file which is moved or replaced
 * later does no harm. A save writes a new file beside the target and renames it when the disk has all of it: the target is the old file or
 * the whole new one.
 */
public final class BundleSaver {
  private static final String OPTIMIZER = "/optimizer_weights";
  private static final String GOLDEN = "/kbridge/golden";
  private static final String STEPS = "steps";
  private static final String STATES = "/kbridge/states";
  private static final String STEP_STATES = "/kbridge/step_states";

  private final Bundle bundle;
  private final Map<String, Map<String, Object>> attributes = new TreeMap<>();

  private BundleSaver(Bundle bundle) {
    this.bundle = bundle;
    readAttributes();
  }

  /**
   * Makes a saver.
   *
   * @param bundle what is saved, with changes
   * @return the saver
   * @throws KBridgeException BUNDLE_FORMAT if the file is no longer the one that was opened
   */
  public static BundleSaver of(Bundle bundle) {
    return new BundleSaver(bundle);
  }

  /**
   * Saves a bundle.
   *
   * @param target where to; may be the bundle's own file, which goes on to be used as it was
   * @param weights new content of weights by name
   * @param states what states of the model and variables of the steps are to start with, by name
   * @param optimizer the optimizer as documents describe it, or null to leave it
   * @param slots the optimizer's variables by their paths in the description
   * @throws KBridgeException BUNDLE_NOT_FOUND if the target cannot be written; what was there before stays
   */
  public void save(
      Path target,
      Map<String, INDArray> weights,
      Map<String, INDArray> states,
      ObjectNode optimizer,
      Map<String, INDArray> slots) {
    Path whole = target.toAbsolutePath();
    Path temporary = whole.resolveSibling("." + whole.getFileName() + "." + UUID.randomUUID() + ".tmp");
    try {
      try (Hdf5Writer writer = new Hdf5Writer(temporary)) {
        write(writer, weights, states, optimizer, slots);
        writer.finish();
      }
      Files.move(temporary, whole, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } catch (IOException e) {
      throw new KBridgeException(
          ErrorCode.BUNDLE_NOT_FOUND,
          "Expected to write the bundle '" + target + "'. Received: " + e
              + ". Nothing was changed there; free some space, or write to another folder.",
          e);
    } finally {
      remove(temporary);
    }
  }

  private static void remove(Path temporary) {
    try {
      Files.deleteIfExists(temporary);
    } catch (IOException e) {
      // NB: it could not be written to either, which is being told.
      temporary.toFile().deleteOnExit();
    }
  }

  private void write(
      Hdf5Writer writer,
      Map<String, INDArray> weights,
      Map<String, INDArray> states,
      ObjectNode optimizer,
      Map<String, INDArray> slots)
      throws IOException {
    Map<String, INDArray> replaced = new LinkedHashMap<>(slots);
    Map<String, ObjectNode> written = new LinkedHashMap<>();
    Map<String, INDArray> ofLayers = new LinkedHashMap<>(states);
    ofLayers.keySet().retainAll(bundle.graph().states().keySet());
    Map<String, INDArray> ofSteps = new LinkedHashMap<>(states);
    ofSteps.keySet().removeAll(ofLayers.keySet());
    if (!ofSteps.isEmpty()) {
      ObjectNode steps = bundle.document(STEPS);
      start((ObjectNode) steps.get("variables"), ofSteps, STEP_STATES, replaced);
      written.put(STEPS, steps);
    }
    ObjectNode spec = bundle.document("spec");
    if (!ofLayers.isEmpty()) {
      start((ObjectNode) spec.get("states"), ofLayers, STATES, replaced);
    }
    weights.forEach((name, array) -> replaced.put(bundle.graph().weights().get(name).path(), array));
    digests(weights).forEach((name, digest) -> ((ObjectNode) spec.get("weights").get(name)).put("sha256", digest));
    written.put("spec", spec);
    if (optimizer != null) {
      ObjectNode training = bundle.training();
      training.set("optimizer", optimizer);
      written.put("training", training);
    }
    boolean sameState = optimizer == null || below(OPTIMIZER).equals(slots.keySet());
    writeArrays(writer, replaced, written.keySet(), optimizer != null);
    for (Map.Entry<String, ObjectNode> document : written.entrySet()) {
      writeDocument(writer, "/kbridge/" + document.getKey(), document.getValue());
    }
    writeAttributes(writer, written.keySet(), sameState, optimizer);
  }

  /** Lets variables that a document describes start with arrays of their own. */
  private static void start(ObjectNode variables, Map<String, INDArray> states, String group, Map<String, INDArray> replaced) {
    Map<String, String> digests = digests(states);
    states.forEach(
        (name, array) -> {
          ObjectNode variable = (ObjectNode) variables.get(name);
          String path = variable.has("path") ? variable.get("path").asText() : group + "/" + name;
          variable.remove("value");
          variable.put("path", path).put("sha256", digests.get(name));
          replaced.put(path, array);
        });
  }

  private Set<String> below(String group) {
    return bundle.index().paths().stream().filter(path -> path.startsWith(group + "/")).collect(Collectors.toSet());
  }

  private void writeArrays(Hdf5Writer writer, Map<String, INDArray> replaced, Set<String> documents, boolean hasState)
      throws IOException {
    Set<String> left = new HashSet<>(bundle.index().paths());
    left.removeAll(replaced.keySet());
    documents.forEach(name -> left.remove("/kbridge/" + name));
    left.removeIf(path -> path.startsWith(GOLDEN + "/") || hasState && path.startsWith(OPTIMIZER + "/"));
    for (String path : left) {
      StoredArray stored = bundle.index().array(path);
      writer.dataset(path, stored.storage(), stored.shape(), bundle.content(stored));
    }
    for (Map.Entry<String, INDArray> array : replaced.entrySet()) {
      writer.dataset(array.getKey(), storage(array.getValue()), array.getValue().shape(), NativeArrays.bytes(array.getValue()));
    }
  }

  private static ElementType storage(INDArray array) {
    switch (array.dataType()) {
      case BOOL:
        return ElementType.UINT8;
      case BFLOAT16:
        return ElementType.UINT16;
      default:
        return ElementType.of(array.dataType());
    }
  }

  private static Map<String, String> digests(Map<String, INDArray> arrays) {
    Map<String, List<ByteBuffer>> contents = new HashMap<>();
    arrays.forEach((name, array) -> contents.put(name, NativeArrays.bytes(array)));
    return contents.entrySet().parallelStream().collect(Collectors.toMap(Map.Entry::getKey, content -> Digests.of(content.getValue())));
  }

  private static void writeDocument(Hdf5Writer writer, String path, ObjectNode document) throws IOException {
    byte[] text = document.toString().getBytes(StandardCharsets.UTF_8);
    List<ByteBuffer> content = List.of(ByteBuffer.wrap(text));
    writer.dataset(path, ElementType.UINT8, new long[] {text.length}, content);
    writer.attribute(path, "sha256", Digests.of(content));
  }

  private void writeAttributes(Hdf5Writer writer, Set<String> documents, boolean sameState, ObjectNode optimizer) {
    for (Map.Entry<String, Map<String, Object>> object : attributes.entrySet()) {
      String path = object.getKey();
      if (path.equals(GOLDEN) || path.startsWith(GOLDEN + "/") || documents.contains(path.replace("/kbridge/", ""))) {
        continue;
      }
      if (bundle.index().array(path) == null) {
        writer.group(path);
      }
      // NB: Keras 2's order of the optimizer's weights; it goes by names that a new state need not have.
      boolean stale = path.equals(OPTIMIZER) && !sameState;
      object.getValue().forEach(
          (name, value) -> {
            if (!stale || !name.startsWith("weight_names")) {
              boolean isConfig = path.isEmpty() && name.equals("training_config") && optimizer != null;
              writer.attribute(path, name, isConfig ? withRate(value, optimizer) : value);
            }
          });
    }
  }

  /** Keras 2's configuration with the learning rate of now. It stays as it is, to the letter, where that has not changed. */
  private static Object withRate(Object config, ObjectNode optimizer) {
    if (!(config instanceof String)) {
      return config;
    }
    ObjectNode json = Json.parse(((String) config).getBytes(StandardCharsets.UTF_8), "the attribute training_config");
    JsonNode old = json.path("optimizer_config").path("config");
    JsonNode rate = optimizer.path("config").path("learning_rate");
    if (!rate.isNumber() || !old.path("learning_rate").isNumber() || old.get("learning_rate").floatValue() == rate.floatValue()) {
      return config;
    }
    ((ObjectNode) old).put("learning_rate", rate.doubleValue());
    return json.toString();
  }

  /** Reads the attributes of everything; opening a bundle reads only those that computing needs. */
  private void readAttributes() {
    Set<String> datasets = new HashSet<>();
    try (HdfFile file = new HdfFile(bundle.file())) {
      Deque<Map.Entry<String, Node>> open = new ArrayDeque<>();
      open.push(Map.entry("", file));
      while (!open.isEmpty()) {
        Map.Entry<String, Node> entry = open.pop();
        Map<String, Object> own = new LinkedHashMap<>();
        for (Attribute attribute : entry.getValue().getAttributes().values()) {
          own.put(attribute.getName(), attribute.isEmpty() ? null : attribute.getData());
        }
        attributes.put(entry.getKey(), own);
        if (entry.getValue() instanceof Dataset) {
          datasets.add(entry.getKey());
        } else {
          ((Group) entry.getValue()).getChildren().forEach((name, node) -> open.push(Map.entry(entry.getKey() + "/" + name, node)));
        }
      }
    } catch (RuntimeException e) {
      throw changed(e);
    }
    if (!datasets.equals(bundle.index().paths())) {
      throw changed(null);
    }
  }

  private KBridgeException changed(RuntimeException cause) {
    return new KBridgeException(
        ErrorCode.BUNDLE_FORMAT,
        "Expected the file '" + bundle.file() + "' as it was opened. Received: another one" + (cause == null ? "" : " (" + cause + ")")
            + ". Load the bundle again, and leave its file alone until training has begun.",
        cause);
  }
}
