package io.kbridge.bundle;

import static io.kbridge.Fixtures.assertFails;
import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.Fixtures;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.ModelGraph;
import java.io.IOException;
import java.lang.ref.Reference;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

public class BundleTest {
  @Rule public final TemporaryFolder folder = new TemporaryFolder();

  private Path file() {
    return folder.getRoot().toPath().resolve("model.h5");
  }

  private Bundle good() {
    return Bundle.open(Fixtures.good(file()), true);
  }

  private void assertSpecFails(ErrorCode code, Consumer<ObjectNode> edit, String... parts) {
    Path file = Fixtures.withSpec(file(), edit);
    assertFails(code, () -> Bundle.open(file, true), parts);
  }

  private static ObjectNode node(ObjectNode spec, int i) {
    return (ObjectNode) spec.at("/graphs/inference/nodes/" + i);
  }

  @Test
  public void readsTheGraph() {
    ModelGraph graph = good().graph();
    assertEquals("good", graph.name());
    assertEquals("x: float32[?, 4]", graph.inputs().get(0).value().toString());
    assertEquals(List.of("dense/Relu", "fold/Reshape"), List.of(graph.outputs().get(0).value(), graph.outputs().get(1).value()));
    assertEquals(6, graph.nodes().size());
    assertEquals(List.of("x", "dense/kernel"), graph.nodes().get(0).inputs());
    assertEquals("dense", graph.layerOutputs().get(0).scope());
    assertEquals(List.of("dense/kernel", "dense/bias"), List.copyOf(graph.weights().keySet()));
  }

  @Test
  public void readsEveryElementType() {
    Bundle bundle = good();
    for (ElementType type : ElementType.values()) {
      INDArray array = bundle.arrays().get("all_" + type.kerasName());
      assertEquals(type.dataType(), array.dataType());
      assertArrayEquals(new long[] {2, 3}, array.shape());
      double[] expected = type == ElementType.BOOL ? new double[] {0, 1, 1, 1, 1, 1} : new double[] {0, 1, 2, 3, 100, 1};
      assertArrayEquals(type.kerasName(), expected, array.dup().reshape(6).castTo(DataType.DOUBLE).toDoubleVector(), 0);
    }
  }

  @Test
  public void readsScalarsAndEmptyArrays() {
    Bundle bundle = good();
    assertArrayEquals(new long[] {0, 3}, bundle.arrays().get("empty").shape());
    assertEquals(0, bundle.arrays().get("rank0").rank());
    assertEquals(7.0, bundle.arrays().get("rank0").getDouble(0), 0);
    assertEquals(2.0, bundle.arrays().get("two").getDouble(0), 0);
    assertEquals(DataType.FLOAT16, bundle.arrays().get("nothing").dataType());
    assertTrue(Double.isNaN(bundle.arrays().get("nothing").getDouble(0)));
    assertEquals(-128, bundle.arrays().get("least").getInt(0));
    assertEquals(DataType.BOOL, bundle.arrays().get("yes").dataType());
    assertEquals(DataType.UINT64, bundle.arrays().get("most").dataType());
    assertEquals(-1L, bundle.arrays().get("most").data().asNio().getLong(0));
  }

  @Test
  public void mapsWeightsWithoutACopy() throws IOException {
    Bundle bundle = good();
    INDArray kernel = bundle.arrays().get("dense/kernel");
    StoredArray stored = Hdf5Index.read(file()).array("/model_weights/dense/dense/kernel");
    try (RandomAccessFile raw = new RandomAccessFile(file().toFile(), "rw")) {
      raw.seek(stored.address());
      raw.writeInt(Integer.reverseBytes(Float.floatToIntBits(42f)));
    }
    assertEquals("a change of the file is seen through the mapping", 42f, kernel.getFloat(0, 0), 0);
  }

  @Test
  public void refusesWhatIsNotThere() throws IOException {
    assertFails(ErrorCode.BUNDLE_NOT_FOUND, () -> Bundle.open(file(), true), "model.h5", "nothing there");
    Path asFolder = folder.newFolder("f").toPath();
    assertFails(ErrorCode.BUNDLE_NOT_FOUND, () -> Bundle.open(asFolder, true), "a folder");
  }

  @Test
  public void refusesForeignFiles() {
    for (byte[] bytes : List.of(new byte[0], "PK\3\4 a zip file".getBytes(), new byte[100_000])) {
      Path file = Fixtures.write(file(), bytes);
      assertFails(ErrorCode.BUNDLE_FORMAT, () -> Bundle.open(file, true), "HDF5");
    }
  }

  @Test
  public void refusesTruncatedFiles() {
    byte[] good = Fixtures.bytes("good.h5");
    for (int length = 8; length < good.length; length += 61) {
      Path file = Fixtures.write(file(), Arrays.copyOf(good, length));
      assertFails(ErrorCode.BUNDLE_FORMAT, () -> Bundle.open(file, true));
    }
  }

  @Test
  public void refusesWhatABundleMustNotHave() {
    String[][] cases = {
      {"chunked", "chunked"}, {"compressed", "compressed"}, {"compact", "compact"}, {"external_storage", "external"},
      {"virtual", "irtual"}, {"big_endian", "big-endian"}, {"string", "VariableLength"}, {"reference", "Reference"},
      {"never_written", "no stored data"}, {"named_type", "COMMITTED_DATATYPE"}, {"soft_link", "soft or external link"},
      {"external_link", "soft or external link"}, {"cycle", "two paths"}, {"no_kbridge", "/kbridge"}
    };
    for (String[] one : cases) {
      Path file = Fixtures.write(file(), Fixtures.bytes("bad_" + one[0] + ".h5"));
      assertFails(ErrorCode.BUNDLE_FORMAT, () -> Bundle.open(file, true), one[1]);
    }
  }

  @Test
  public void refusesANewerMajorVersionAlone() {
    // The root's attribute is written before the spec, so the first occurrence is the one that counts.
    byte[] bytes = Fixtures.bytes("good.h5");
    int name = Fixtures.find(bytes, "schema_version\0".getBytes(), 0);
    int heap = Fixtures.find(bytes, "1.0".getBytes(), name);
    bytes[heap] = '2';
    Path file = Fixtures.write(file(), bytes);
    assertFails(ErrorCode.SCHEMA_VERSION, () -> Bundle.open(file, true), "Received: 2.0");
    bytes[heap] = '1';
    bytes[heap + 2] = '7';
    Fixtures.write(file(), bytes);
    assertEquals("good", Bundle.open(file, true).graph().name());
    bytes[heap + 1] = 'x';
    Fixtures.write(file(), bytes);
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> Bundle.open(file, true), "1x7");
  }

  @Test
  public void refusesChangedWeightsAndSaysWhich() {
    good();
    StoredArray stored = Hdf5Index.read(file()).array("/model_weights/dense/dense/bias");
    byte[] bytes = Fixtures.bytes("good.h5");
    bytes[(int) stored.address() + 1] ^= 4;
    Path file = Fixtures.write(file(), bytes);
    assertFails(ErrorCode.DIGEST_MISMATCH, () -> Bundle.open(file, true), "dense/bias");
    assertEquals("good", Bundle.open(file, false).graph().name());
  }

  @Test
  public void refusesChangedDocumentsAlways() {
    byte[] bytes = Fixtures.bytes("good.h5");
    Fixtures.replace(bytes, "\"name\":\"good\"", "\"name\":\"evil\"");
    Path file = Fixtures.write(file(), bytes);
    assertFails(ErrorCode.DIGEST_MISMATCH, () -> Bundle.open(file, false), "/kbridge/spec");
  }

  @Test
  public void refusesArraysThatAreNotAsDeclared() {
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/weights/dense~1kernel")).put("dtype", "int32"), "int32", "float32[4, 6]");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/weights/dense~1kernel")).putArray("shape").add(24), "[24]");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/weights/dense~1kernel")).put("path", "/nowhere"), "nothing");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/weights/dense~1kernel")).put("sha256", "12"), "64 hex");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/weights/dense~1kernel")).put("dtype", "float8"), "float8");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/constants/all_uint8")).put("dtype", "bool"), "0 or 1");
  }

  @Test
  public void refusesScalarsThatDoNotFitTheirType() {
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/constants/least")).put("value", -129), "int8", "-129");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/constants/least")).put("value", 1.5), "1.5");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/constants/yes")).put("value", 1), "true or false");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/constants/two")).put("value", "2"), "a number");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/constants/two")).putArray("shape").add(1), "[]");
  }

  @Test
  public void refusesInconsistentGraphs() {
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ArrayNode) node(s, 0).get("inputs")).set(0, "dense/Relu"), "dense/Relu", "not defined before");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ArrayNode) node(s, 0).get("inputs")).set(0, "nobody"), "nobody");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) node(s, 1).at("/outputs/0")).put("name", "x"), "'x' is defined twice");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/outputs/0")).put("value", "nobody"), "nobody");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/outputs/0")).put("name", "folded"), "declared twice");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ArrayNode) s.at("/graphs/inference/outputs")).remove(0), "spec.outputs");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ArrayNode) s.at("/layer_outputs/0/values")).set(0, "nobody"), "nobody");
    assertSpecFails(
        ErrorCode.BUNDLE_FORMAT, s -> ((ArrayNode) node(s, 4).at("/attrs/newshape/0/dims/0")).set(0, "nobody"), "nobody");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ArrayNode) node(s, 4).at("/attrs/newshape/0/dims/0")).remove(1), "dims");
  }

  @Test
  public void refusesMissingKeysAndWrongKinds() {
    for (String key : List.of("name", "inputs", "outputs", "input_structure", "output_structure", "weights", "constants", "graphs",
        "layer_outputs", "layers")) {
      assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> s.remove(key), key, "nothing");
    }
    for (String key : List.of("name", "op", "scope", "inputs", "attrs", "outputs")) {
      assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> node(s, 1).remove(key), "nodes[1]." + key);
    }
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> s.put("inputs", 3), "spec.inputs", "3");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/inputs/0")).putArray("shape").add(-2), "-2");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> ((ObjectNode) s.at("/inputs/0")).put("optional", "no"), "optional");
    assertSpecFails(ErrorCode.BUNDLE_FORMAT, s -> node(s, 0).putArray("outputs"), "at least one output");
  }

  @Test
  public void refusesJsonThatIsNone() {
    for (String text : List.of("", "[]", "{", "{} {}", "{\"a\": 1, \"a\": 2}", "\"\ud800")) {
      assertFails(ErrorCode.BUNDLE_FORMAT, () -> Json.parse(text.getBytes(StandardCharsets.UTF_8), "'/kbridge/spec'"), "/kbridge/spec");
    }
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> Json.parse(new byte[] {'{', '"', (byte) 0xff, '"', ':', '1', '}'}, "here"), "here");
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> Json.parse("{\"a\":".repeat(100_000).getBytes(StandardCharsets.UTF_8), "here"), "here");
  }

  @Test
  public void readsGoldenSamples() {
    Golden golden = good().golden();
    assertArrayEquals(new long[] {3, 4}, golden.inputs().get("x").shape());
    assertEquals(List.of("hidden", "folded"), List.copyOf(golden.outputs().keySet()));
    assertEquals(1e-5, golden.rtol(), 0);
    assertEquals(1e-6, golden.atol(), 0);
  }

  @Test(timeout = 300_000)
  public void survivesFlippedBytes() throws IOException {
    Bundle original = good();
    byte[] good = Fixtures.bytes("good.h5");
    for (int at = 0; at < good.length; at += 31) {
      byte[] bytes = good.clone();
      bytes[at] ^= (byte) (1 << (at % 8) | 0x10);
      Path file = Fixtures.write(file(), bytes);
      openOrRefuse(file, at, original);
    }
  }

  private static void openOrRefuse(Path file, int at, Bundle original) {
    Bundle bundle;
    try {
      bundle = Bundle.open(file, true);
    } catch (KBridgeException e) {
      assertTrue(at + ": " + e, e.code() != ErrorCode.INTERNAL && e.code() != ErrorCode.OUT_OF_MEMORY);
      return;
    }
    assertEquals(original.graph().spec(), bundle.graph().spec());
    assertNull("byte " + at, difference(original, bundle));
  }

  private static String difference(Bundle a, Bundle b) {
    for (String name : a.arrays().keySet()) {
      INDArray x = a.arrays().get(name);
      INDArray y = b.arrays().get(name);
      if (!Arrays.equals(x.shape(), y.shape()) || !x.isEmpty() && !sameElements(x.dup(), y.dup())) {
        return name;
      }
    }
    return null;
  }

  private static boolean sameElements(INDArray x, INDArray y) {
    try {
      return x.data().asNio().equals(y.data().asNio());
    } finally {
      // NB: the buffers do not keep the arrays; without this the collector may free them on the way.
      Reference.reachabilityFence(x);
      Reference.reachabilityFence(y);
    }
  }
}
