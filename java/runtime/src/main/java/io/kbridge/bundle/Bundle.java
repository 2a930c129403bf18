package io.kbridge.bundle;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.TrainingSteps;
import io.kbridge.graph.ValueInfo;
import io.kbridge.plan.NativeArrays;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/**
 * A bundle, opened and checked. Its weights and constants are arrays over the mapped file: they MUST NOT be written to, and are valid for
 * as long as this object is reachable. Thread safe.
 */
public final class Bundle {
  /** The major version of the format that this runtime reads. */
  public static final int SCHEMA_MAJOR = 1;

  private static final String ROOT = "/kbridge";
  private static final String GOLDEN = ROOT + "/golden";

  private final Path file;
  private final Hdf5Index index;
  private final MappedFile mapped;
  private final ModelGraph graph;
  private final ObjectNode training;
  private final ObjectNode provenance;
  private final Map<String, INDArray> arrays = new LinkedHashMap<>();
  private TrainingSteps steps;

  private Bundle(Path file, boolean verifyDigests) {
    this.file = file;
    this.index = Hdf5Index.read(file);
    this.mapped = new MappedFile(file, index.fileBytes());
    requireSchema();
    this.graph = SpecReader.read(document("spec"));
    this.training = document("training");
    this.provenance = document("provenance");
    List<ArrayEntry> entries = new ArrayList<>(graph.weights().values());
    entries.addAll(graph.constants().values());
    Map<ArrayEntry, StoredArray> stored = locate(entries);
    if (verifyDigests) {
      Digests.verify(file, mapped, stored);
      mapped.forgetPages();
    }
    for (Map.Entry<ArrayEntry, StoredArray> entry : stored.entrySet()) {
      ValueInfo value = entry.getKey().value();
      arrays.put(value.name(), array(entry.getValue(), value.type()));
    }
    for (ArrayEntry entry : graph.constants().values()) {
      if (entry.path() == null) {
        arrays.put(entry.value().name(), Scalars.array(entry));
      }
    }
  }

  /**
   * Opens a bundle and checks all of it.
   *
   * @param file the bundle
   * @param verifyDigests whether to compare the content of every weight and constant with its digest; documents always are
   * @return the bundle
   * @throws KBridgeException BUNDLE_NOT_FOUND, BUNDLE_FORMAT, SCHEMA_VERSION or DIGEST_MISMATCH
   */
  public static Bundle open(Path file, boolean verifyDigests) {
    return new Bundle(file, verifyDigests);
  }

  /**
   * Returns the file.
   *
   * @return its path
   */
  public Path file() {
    return file;
  }

  /**
   * Returns the model's graph.
   *
   * @return the graph
   */
  public ModelGraph graph() {
    return graph;
  }

  /**
   * Returns what {@code compile()} was given, as the bundle has it.
   *
   * @return a copy of the JSON
   */
  public ObjectNode training() {
    return training.deepCopy();
  }

  /**
   * Returns where the model came from, as the bundle has it.
   *
   * @return a copy of the JSON
   */
  public ObjectNode provenance() {
    return provenance.deepCopy();
  }

  /**
   * Returns the content of all weights and constants.
   *
   * @return the arrays by name; not to be written to
   */
  public Map<String, INDArray> arrays() {
    return Collections.unmodifiableMap(arrays);
  }

  /** Lets the system take back the memory that shows the file. What is read again is read from the file again. */
  public void forgetPages() {
    mapped.forgetPages();
  }

  /**
   * Reads what training and evaluation compute; the first call reads and checks it.
   *
   * @return the steps
   * @throws KBridgeException NOT_TRAINABLE if the model was not compiled with a loss, or if it cannot be trained outside of Keras;
   *     BUNDLE_FORMAT or DIGEST_MISMATCH
   */
  public synchronized TrainingSteps steps() {
    if (steps == null) {
      if (index.array(ROOT + "/steps") == null) {
        throw new KBridgeException(
            ErrorCode.NOT_TRAINABLE,
            "Expected a model that was compiled with a loss. Received: '" + graph.name() + "', which was not. "
                + "Call compile(optimizer=..., loss=...) before the export.");
      }
      steps = StepsReader.read(document("steps"), graph);
    }
    return steps;
  }

  /**
   * Reads the constants of a graph of the steps, and checks their digests.
   *
   * @param of a graph of {@link #steps()}
   * @return the arrays by name; not to be written to
   * @throws KBridgeException BUNDLE_FORMAT or DIGEST_MISMATCH
   */
  public Map<String, INDArray> constants(ModelGraph of) {
    return read(of.constants().values());
  }

  /**
   * Reads what the variables of the steps start with, and checks the digests.
   *
   * @return arrays by name, each with memory of its own
   * @throws KBridgeException BUNDLE_FORMAT or DIGEST_MISMATCH
   */
  public Map<String, INDArray> initialVariables() {
    List<ArrayEntry> entries = new ArrayList<>();
    steps().variables().values().forEach(variable -> entries.add(variable.entry()));
    return starts(entries);
  }

  /**
   * Reads what the states start with that stay from call to call, and checks the digests.
   *
   * @return arrays by name, each with memory of its own
   * @throws KBridgeException BUNDLE_FORMAT or DIGEST_MISMATCH
   */
  public Map<String, INDArray> initialStates() {
    return starts(graph.states().values());
  }

  private Map<String, INDArray> starts(Collection<ArrayEntry> entries) {
    Map<String, INDArray> initial = new LinkedHashMap<>();
    Map<String, INDArray> stored = read(entries);
    for (ArrayEntry entry : entries) {
      INDArray first = stored.get(entry.value().name());
      INDArray array = Nd4j.createUninitialized(entry.value().dtype(), entry.value().shape(), 'c');
      if (entry.path() != null) {
        array.assign(first);
      } else if (first.dataType().isFPType()) {
        array.assign(first.getDouble(0));
      } else {
        array.assign(first.getLong(0));
      }
      initial.put(entry.value().name(), array);
    }
    return initial;
  }

  /** Reads arrays that are not read when the bundle is opened. */
  private Map<String, INDArray> read(Collection<ArrayEntry> entries) {
    Map<ArrayEntry, StoredArray> stored = locate(entries);
    Digests.verify(file, mapped, stored);
    Map<String, INDArray> found = new LinkedHashMap<>();
    for (ArrayEntry entry : entries) {
      StoredArray at = stored.get(entry);
      found.put(entry.value().name(), at == null ? Scalars.array(entry) : array(at, entry.value().type()));
    }
    return found;
  }

  /**
   * Returns the content of any dataset, such as a variable of the optimizer.
   *
   * @param path its path
   * @param type the true type of its elements
   * @return the array; not to be written to
   * @throws KBridgeException BUNDLE_FORMAT if there is none, or one of another type
   */
  public INDArray array(String path, ElementType type) {
    StoredArray stored = index.array(path);
    if (stored == null || type == null || !stored.holds(type)) {
      throw Json.wrong("'" + path + "'", "a dataset of type " + type, stored == null ? "nothing" : stored.toString());
    }
    return array(stored, type);
  }

  /**
   * Tells whether arrays are this file's, so that its golden samples tell of them.
   *
   * @param given arrays by name, as {@link #arrays()} gives them
   * @return false if any is another array
   */
  public boolean has(Map<String, INDArray> given) {
    return arrays.entrySet().stream().allMatch(entry -> given.get(entry.getKey()) == entry.getValue());
  }

  /**
   * Reads the golden samples.
   *
   * @return the samples, or null if the bundle has none
   */
  public Golden golden() {
    Map<String, INDArray> inputs = new LinkedHashMap<>();
    Map<String, INDArray> outputs = new LinkedHashMap<>();
    graph.inputs().forEach(input -> readGolden("inputs", input.value(), input.optional(), inputs));
    if (inputs.isEmpty()) {
      return null;
    }
    graph.outputs().forEach(output -> readGolden("outputs", output.declared(), false, outputs));
    boolean scaled = index.attribute(GOLDEN, "scaled") != null && number(GOLDEN, "scaled") != 0;
    return new Golden(inputs, outputs, number(GOLDEN, "rtol"), number(GOLDEN, "atol"), scaled, this);
  }

  private void readGolden(String side, ValueInfo value, boolean optional, Map<String, INDArray> into) {
    String path = GOLDEN + "/" + side + "/" + value.name();
    StoredArray stored = index.array(path);
    boolean none = index.attribute(GOLDEN, "rtol") == null;
    if (stored == null && (none || optional)) {
      return;
    }
    if (stored == null || !stored.holds(value.type()) || !value.accepts(stored.shape())) {
      throw Json.wrong("'" + path + "'", "a sample of " + value, stored == null ? "nothing" : stored.toString());
    }
    into.put(value.name(), array(stored, value.type()));
  }

  Hdf5Index index() {
    return index;
  }

  List<ByteBuffer> content(StoredArray stored) {
    return stored.bytes() == 0 ? List.of() : mapped.pieces(stored);
  }

  private void requireSchema() {
    Object version = index.attribute(ROOT, "schema_version");
    String text = version instanceof String ? (String) version : String.valueOf(version);
    if (!(version instanceof String) || !text.matches("[0-9]{1,6}\\.[0-9]{1,6}")) {
      throw Json.wrong("attribute schema_version of '" + ROOT + "'", "a version such as 1.0", text);
    }
    if (Integer.parseInt(text.substring(0, text.indexOf('.'))) != SCHEMA_MAJOR) {
      throw new KBridgeException(
          ErrorCode.SCHEMA_VERSION,
          "Expected bundle schema version " + SCHEMA_MAJOR + ".x in '" + file + "'. Received: " + text
              + ". Use a kbridge runtime that reads it, or export the model again with this version.");
    }
  }

  ObjectNode document(String name) {
    String path = ROOT + "/" + name;
    StoredArray stored = index.array(path);
    if (stored == null || stored.shape().length != 1 || !stored.holds(ElementType.UINT8)) {
      throw Json.wrong("'" + path + "'", "a JSON document as uint8[n]", stored == null ? "nothing" : stored.toString());
    }
    if (stored.bytes() > 1L << 29) {
      throw Json.wrong("'" + path + "'", "a document of at most 512 MiB", stored.bytes() + " bytes");
    }
    List<ByteBuffer> pieces = mapped.pieces(stored);
    Digests.verify(file, path, index.attribute(path, "sha256"), pieces);
    byte[] text = new byte[(int) stored.bytes()];
    int done = 0;
    for (ByteBuffer piece : pieces) {
      piece.duplicate().get(text, done, piece.capacity());
      done += piece.capacity();
    }
    return Json.parse(text, "'" + path + "'");
  }

  /** Finds the dataset of every entry that has one; one message for all that do not fit. */
  private Map<ArrayEntry, StoredArray> locate(Collection<ArrayEntry> entries) {
    Map<ArrayEntry, StoredArray> located = new LinkedHashMap<>();
    List<String> wrong = new ArrayList<>();
    for (ArrayEntry entry : entries) {
      if (entry.path() == null) {
        continue;
      }
      StoredArray stored = index.array(entry.path());
      ValueInfo value = entry.value();
      if (stored == null || !stored.holds(value.type()) || !value.accepts(stored.shape())) {
        wrong.add(value + " at '" + entry.path() + "', received " + (stored == null ? "nothing" : stored));
      } else {
        located.put(entry, stored);
      }
    }
    if (!wrong.isEmpty()) {
      throw Json.wrong("'" + file + "'", "the datasets the spec declares", String.join("; ", wrong));
    }
    return located;
  }

  private INDArray array(StoredArray stored, ElementType type) {
    if (stored.bytes() == 0) {
      return NativeArrays.empty(type.dataType(), stored.shape());
    }
    if (type == ElementType.BOOL) {
      requireBooleans(stored);
    }
    Pointer memory = mapped.pointer(stored, type.bytes());
    return NativeArrays.over(memory, type.dataType(), stored.shape());
  }

  private void requireBooleans(StoredArray stored) {
    for (ByteBuffer piece : mapped.pieces(stored)) {
      while (piece.hasRemaining()) {
        byte value = piece.get();
        if (value != 0 && value != 1) {
          throw Json.wrong("'" + stored.path() + "'", "booleans stored as 0 or 1", Integer.toString(value & 0xff));
        }
      }
    }
  }

  private double number(String path, String name) {
    Object value = index.attribute(path, name);
    if (value instanceof Number && ((Number) value).doubleValue() >= 0) {
      return ((Number) value).doubleValue();
    }
    throw Json.wrong("attribute " + name + " of '" + path + "'", "a tolerance, not negative", String.valueOf(value));
  }
}
