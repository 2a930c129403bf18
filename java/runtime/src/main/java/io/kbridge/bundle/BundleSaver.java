package io.kbridge.bundle;

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
   * @param optimizer the optimizer as documents describe it, or null to leave it
   * @param state the optimizer's variables by their paths in the description
   * @param documents documents to replace, such as {@code steps}, by name
   * @param others new content of other datasets, by path
   * @throws KBridgeException BUNDLE_NOT_FOUND if the target cannot be written; what was there before stays
   */
  public void save(
      Path target,
      Map<String, INDArray> weights,
      ObjectNode optimizer,
      Map<String, INDArray> state,
      Map<String, ObjectNode> documents,
      Map<String, INDArray> others) {
    Path whole = target.toAbsolutePath();
    Path temporary = whole.resolveSibling("." + whole.getFileName() + "." + UUID.randomUUID() + ".tmp");
    try {
      try (Hdf5Writer writer = new Hdf5Writer(temporary)) {
        write(writer, weights, optimizer, state, documents, others);
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
      ObjectNode optimizer,
      Map<String, INDArray> state,
      Map<String, ObjectNode> documents,
      Map<String, INDArray> others)
      throws IOException {
    Map<String, INDArray> replaced = new LinkedHashMap<>(others);
    replaced.putAll(state);
    ObjectNode spec = bundle.document("spec");
    weights.forEach((name, array) -> replaced.put(bundle.graph().weights().get(name).path(), array));
    digests(weights).forEach((name, digest) -> ((ObjectNode) spec.get("weights").get(name)).put("sha256", digest));
    Map<String, ObjectNode> written = new LinkedHashMap<>(documents);
    written.put("spec", spec);
    if (optimizer != null) {
      ObjectNode training = bundle.training();
      training.set("optimizer", optimizer);
      written.put("training", training);
    }
    boolean sameState = optimizer == null || below(OPTIMIZER).equals(state.keySet());
    writeArrays(writer, replaced, written.keySet(), optimizer != null);
    for (Map.Entry<String, ObjectNode> document : written.entrySet()) {
      writeDocument(writer, "/kbridge/" + document.getKey(), document.getValue());
    }
    writeAttributes(writer, written.keySet(), sameState);
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
    return arrays.entrySet().parallelStream()
        .collect(Collectors.toMap(Map.Entry::getKey, entry -> Digests.of(NativeArrays.bytes(entry.getValue()))));
  }

  private static void writeDocument(Hdf5Writer writer, String path, ObjectNode document) throws IOException {
    byte[] text = document.toString().getBytes(StandardCharsets.UTF_8);
    List<ByteBuffer> content = List.of(ByteBuffer.wrap(text));
    writer.dataset(path, ElementType.UINT8, new long[] {text.length}, content);
    writer.attribute(path, "sha256", Digests.of(content));
  }

  private void writeAttributes(Hdf5Writer writer, Set<String> documents, boolean sameState) {
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
              writer.attribute(path, name, value);
            }
          });
    }
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
