package io.kbridge;

import static io.kbridge.Fixtures.assertFails;
import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.bundle.Bundle;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Step;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;
import org.nd4j.nativeblas.NativeOpsHolder;

public class KBridgeModelTest {
  @Rule public final TemporaryFolder folder = new TemporaryFolder();

  private final TestOps ops = new TestOps();

  private Path file() {
    return folder.getRoot().toPath().resolve("model.h5");
  }

  private LoadOptions options() {
    return LoadOptions.builder().registry(ops.registry()).build();
  }

  private KBridgeModel good() {
    return KBridge.load(Fixtures.good(file()), options());
  }

  private KBridgeModel withSpec(Consumer<ObjectNode> edit) {
    return KBridge.load(Fixtures.withSpec(file(), edit), options());
  }

  private INDArray goldenInput() {
    return Bundle.open(file(), true).golden().inputs().get("x");
  }

  private static void optionalSecondInput(ObjectNode spec) {
    ObjectNode input = ((ArrayNode) spec.get("inputs")).addObject();
    input.put("name", "extra").put("dtype", "float32").put("optional", true).putArray("shape").addNull().add(6);
    ((ArrayNode) spec.at("/graphs/inference/nodes/3/inputs")).add("extra");
  }

  @Test
  public void warmingUpCompilesWhatThePredictionNeeds() {
    LoadOptions options = LoadOptions.builder().engine("nd4j").registry(ops.registry()).build();
    try (KBridgeModel model = KBridge.load(Fixtures.good(file()), options)) {
      model.warmUp(Map.of("x", goldenInput().shape()));
      List<String> compiled = List.copyOf(ops.compiled);
      assertFalse(compiled.isEmpty());
      assertTrue(model.selfTest().ok());
      assertEquals("nothing is left to compile", compiled, ops.compiled);
      model.warmUp(Map.of("x", new long[] {7, 4}));
      assertTrue("another shape is another plan", ops.compiled.size() > compiled.size());
      assertFails(ErrorCode.INVALID_INPUT, () -> model.warmUp(Map.of("x", new long[] {7, 5})), "x");
      assertFails(ErrorCode.INVALID_INPUT, () -> model.warmUp(Map.of("y", new long[] {7, 4})), "y");
      assertFails(ErrorCode.INVALID_INPUT, () -> model.warmUp(3, 4), "warmUp(Map)");
    }
  }

  @Test
  public void tellsAboutTheModel() {
    try (KBridgeModel model = good()) {
      assertEquals("good", model.name());
      assertEquals(file(), model.file());
      assertEquals("x: float32[?, 4]", model.inputs().get("x").toString());
      assertArrayEquals(new long[] {-1, 2, 3}, model.outputs().get("folded").shape());
      assertEquals(DataType.FLOAT, model.outputs().get("hidden").dtype());
      assertEquals("float32", model.outputs().get("hidden").dtypeName());
      assertEquals(List.of("hidden", "folded"), List.copyOf(model.outputs().keySet()));
      assertEquals("\"*\"", model.inputStructure());
      assertEquals("[0,1]", model.outputStructure());
      assertEquals("[]", model.layers());
      assertEquals("{\"compiled\":false}", model.training());
      assertEquals("{\"kbridge_version\":\"test\"}", model.provenance());
      assertEquals("Dense", model.layerOutputs().get(0).className());
    }
  }

  @Test
  public void predictsWhatNativeKerasGave() {
    try (KBridgeModel model = good()) {
      SelfTestReport report = model.selfTest().orThrow();
      assertTrue(report.ok());
      assertEquals(2, report.outputs().size());
      assertEquals(18, report.outputs().get(0).elements());
      assertTrue(report.toString(), report.outputs().get(1).maxAbsoluteError() < 1e-6);
    }
  }

  @Test
  public void selfTestTellsAWrongRuntime() {
    OpRegistry wrong = new OpRegistry();
    OpRegistry right = ops.registry();
    right.names().forEach(name -> wrong.op(name, right.get(name.equals("Add") ? "Multiply" : name)));
    try (KBridgeModel model = KBridge.load(Fixtures.good(file()), LoadOptions.builder().engine("nd4j").registry(wrong).build())) {
      SelfTestReport report = model.selfTest();
      assertFalse(report.ok());
      assertTrue(report.outputs().get(0).wrong() > 0);
      assertFails(ErrorCode.SELF_TEST_FAILED, report::orThrow, "FAIL hidden", "FAIL folded");
    }
  }

  @Test
  public void resultsBelongToTheCaller() {
    try (KBridgeModel model = good()) {
      INDArray x = Nd4j.ones(DataType.FLOAT, 2, 4);
      Map<String, INDArray> first = model.predict(Map.of("x", x));
      INDArray copy = first.get("hidden").dup();
      first.get("folded").assign(-1);
      assertEquals("outputs that are one value are two arrays", copy, first.get("hidden"));
      Map<String, INDArray> second = model.predict(Map.of("x", x.mul(3)));
      assertNotSame(first.get("hidden"), second.get("hidden"));
      assertEquals("a later call leaves earlier results alone", copy, first.get("hidden"));
      assertEquals("inputs are not changed", Nd4j.ones(DataType.FLOAT, 2, 4), x);
    }
  }

  @Test
  public void takesInputsInAnyMemoryOrder() {
    try (KBridgeModel model = good()) {
      INDArray x = goldenInput();
      INDArray expected = model.predict(Map.of("x", x)).get("hidden");
      INDArray big = Nd4j.zeros(DataType.FLOAT, 5, 8);
      INDArray view = big.get(NDArrayIndex.interval(1, 4), NDArrayIndex.interval(2, 6));
      view.assign(x);
      assertEquals(expected, model.predict(Map.of("x", view)).get("hidden"));
      assertEquals(expected, model.predict(Map.of("x", x.dup('f'))).get("hidden"));
    }
  }

  @Test
  public void runsAnyBatch() {
    try (KBridgeModel model = good()) {
      for (int batch : new int[] {1, 5, 2, 0}) {
        Map<String, INDArray> result = model.predict(Map.of("x", Nd4j.create(DataType.FLOAT, batch, 4)));
        assertArrayEquals(new long[] {batch, 2, 3}, result.get("folded").shape());
        assertArrayEquals(new long[] {batch, 6}, result.get("hidden").shape());
      }
    }
  }

  @Test
  public void predictsASingleTensorOnlyWhereThereIsOne() {
    try (KBridgeModel model = good()) {
      assertFails(ErrorCode.INVALID_INPUT, () -> model.predict(Nd4j.ones(1, 4)), "[hidden, folded]");
    }
    Consumer<ObjectNode> oneOutput = spec -> {
      ((ArrayNode) spec.get("outputs")).remove(1);
      ((ArrayNode) spec.at("/graphs/inference/outputs")).remove(1);
    };
    try (KBridgeModel model = withSpec(oneOutput)) {
      assertArrayEquals(new long[] {2, 6}, model.predict(Nd4j.ones(DataType.FLOAT, 2, 4)).shape());
    }
  }

  @Test
  public void givesInnerValues() {
    try (KBridgeModel model = good()) {
      INDArray x = goldenInput();
      Map<String, INDArray> inputs = Map.of("x", x);
      Map<String, INDArray> values =
          model.values(inputs, List.of("dead/Relu", "dense/Add", "x", "dense/bias", "dense/Scaled", "dense/Relu"));
      assertEquals(List.of("dead/Relu", "dense/Add", "x", "dense/bias", "dense/Scaled", "dense/Relu"), List.copyOf(values.keySet()));
      assertEquals(x, values.get("x"));
      assertEquals(values.get("dense/bias").mul(2), values.get("dense/Scaled"));
      assertEquals(model.predict(inputs).get("hidden"), values.get("dense/Relu"));
      assertFails(ErrorCode.INVALID_INPUT, () -> model.values(inputs, List.of("x", "nobody", "none")), "[nobody, none]");
    }
  }

  @Test
  public void refusesInputsThatDoNotFitAllAtOnce() {
    try (KBridgeModel model = withSpec(KBridgeModelTest::optionalSecondInput)) {
      Map<String, INDArray> inputs = new LinkedHashMap<>();
      inputs.put("y", Nd4j.ones(1, 4));
      inputs.put("extra", Nd4j.ones(DataType.FLOAT, 1, 5));
      assertFails(ErrorCode.INVALID_INPUT, () -> model.predict(inputs),
          "x: float32[?, 4], extra: float32[?, 6] (optional)", "nothing for 'x'", "'y', which is no input", "'extra' as float32[1, 5]");
    }
    try (KBridgeModel model = good()) {
      assertFails(ErrorCode.INVALID_INPUT, () -> model.predict(Map.of("x", Nd4j.ones(DataType.DOUBLE, 1, 4))), "float64[1, 4]");
      assertFails(ErrorCode.INVALID_INPUT, () -> model.predict(Map.of("x", Nd4j.ones(DataType.FLOAT, 4))), "float32[4]");
      assertFails(ErrorCode.INVALID_INPUT, () -> model.predict(Map.of()), "nothing for 'x'");
    }
  }

  @Test
  public void optionalInputsMayBeLeftOut() {
    try (KBridgeModel model = withSpec(KBridgeModelTest::optionalSecondInput)) {
      assertTrue(model.inputs().get("extra").optional());
      assertTrue(model.selfTest().ok());
      INDArray x = Nd4j.ones(DataType.FLOAT, 2, 4);
      assertEquals(2, model.predict(Map.of("x", x, "extra", Nd4j.ones(DataType.FLOAT, 2, 6))).size());
      assertFails(ErrorCode.INVALID_INPUT, () -> model.values(Map.of("x", x), List.of("extra")), "extra");
    }
  }

  @Test
  public void namesAllUnknownOps() {
    Path file = Fixtures.withSpec(file(), spec -> {
      ((ObjectNode) spec.at("/graphs/inference/nodes/0")).put("op", "Mystery");
      ((ObjectNode) spec.at("/graphs/inference/nodes/3")).put("op", "Enigma");
      ((ObjectNode) spec.at("/graphs/inference/nodes/5")).put("op", "Enigma");
    });
    assertFails(ErrorCode.UNSUPPORTED_OP, () -> KBridge.load(file, options()), "Enigma (2 in layers 'dense', 'dead')", "Mystery (1 in");
  }

  @Test
  public void refusesOptionsItCannotFollow() {
    Path file = Fixtures.good(file());
    assertFails(ErrorCode.INVALID_INPUT, () -> KBridge.load(file, LoadOptions.builder().engine("warp").build()), "[auto, nd4j, onednn]", "'warp'");
    assertFails(ErrorCode.INVALID_INPUT, () -> KBridge.load(file, LoadOptions.builder().device("tpu").build()), "'tpu'");
    assertFails(ErrorCode.DEVICE_UNAVAILABLE, () -> KBridge.load(file, LoadOptions.builder().device("gpu").build()), "'gpu'", "CpuBackend");
    assertFails(ErrorCode.INVALID_INPUT, () -> LoadOptions.builder().threads(-1), "threads", "-1");
    assertFails(ErrorCode.INVALID_INPUT, () -> LoadOptions.builder().planCacheSize(0), "planCacheSize");
    for (String engine : List.of("auto", "nd4j")) {
      KBridge.load(file, LoadOptions.builder().engine(engine).device("cpu").registry(ops.registry()).build()).close();
    }
  }

  @Test
  public void threadsAreLimitedInsideACallAlone() {
    List<Integer> seen = new ArrayList<>();
    OpRegistry right = ops.registry();
    OpRegistry watching = new OpRegistry();
    right.names().forEach(name -> watching.op(name, context -> {
      Step step = right.get(name).compile(context);
      return step == null ? null : () -> {
        seen.add(NativeOpsHolder.getInstance().getDeviceNativeOps().ompGetMaxThreads());
        step.run();
      };
    }));
    int master = Nd4j.getEnvironment().maxMasterThreads();
    int before = NativeOpsHolder.getInstance().getDeviceNativeOps().ompGetMaxThreads();
    try (KBridgeModel model =
        KBridge.load(Fixtures.good(file()), LoadOptions.builder().threads(1).registry(watching).build())) {
      assertEquals(1, Nd4j.getEnvironment().maxMasterThreads());
      assertTrue(model.selfTest().ok());
      assertFalse(seen.isEmpty());
      assertTrue(seen.stream().allMatch(count -> count == 1));
      assertEquals(before, NativeOpsHolder.getInstance().getDeviceNativeOps().ompGetMaxThreads());
    } finally {
      Nd4j.getEnvironment().setMaxMasterThreads(master);
      Nd4j.factory().blas().setMaxThreads(master);
    }
  }

  @Test
  public void closesOnceAndForAll() {
    KBridgeModel model = good();
    model.predict(Map.of("x", Nd4j.ones(DataType.FLOAT, 2, 4)));
    model.close();
    model.close();
    for (Runnable call : List.<Runnable>of(model::name, model::inputs, model::selfTest, () -> model.predict(Map.of()), model::layerOutputs)) {
      IllegalStateException error = assertThrows(IllegalStateException.class, call::run);
      assertTrue(error.getMessage(), error.getMessage().contains("after close()"));
    }
  }

  @Test(timeout = 60_000)
  public void closeWaitsForRunningPredictions() throws Exception {
    CountDownLatch inside = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    OpRegistry right = ops.registry();
    OpRegistry slow = new OpRegistry();
    right.names().forEach(name -> slow.op(name, context -> {
      Step step = right.get(name).compile(context);
      return !name.equals("Relu") ? step : () -> {
        inside.countDown();
        await(goOn);
        step.run();
      };
    }));
    KBridgeModel model = KBridge.load(Fixtures.good(file()), LoadOptions.builder().engine("nd4j").registry(slow).build());
    ExecutorService threads = Executors.newFixedThreadPool(2);
    try {
      Future<SelfTestReport> running = threads.submit(model::selfTest);
      inside.await();
      Future<?> closing = threads.submit(model::close);
      assertThrows(TimeoutException.class, () -> closing.get(200, TimeUnit.MILLISECONDS));
      goOn.countDown();
      assertTrue(running.get().ok());
      closing.get();
      assertThrows(IllegalStateException.class, model::name);
    } finally {
      threads.shutdownNow();
    }
  }

  @Test(timeout = 120_000)
  public void manyThreadsPredictAtOnce() throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(8);
    try (KBridgeModel model = KBridge.load(Fixtures.good(file()), LoadOptions.builder().registry(ops.registry()).planCacheSize(2).concurrency(3).build())) {
      List<Future<Boolean>> answers = new ArrayList<>();
      for (int t = 0; t < 200; t++) {
        int batch = 1 + t % 4;
        float scale = t;
        answers.add(threads.submit(() -> {
          INDArray x = Nd4j.ones(DataType.FLOAT, batch, 4).mul(scale);
          Map<String, INDArray> values = model.values(Map.of("x", x), List.of("dense/Relu"));
          return values.get("dense/Relu").equals(model.predict(Map.of("x", x)).get("hidden"));
        }));
      }
      for (Future<Boolean> answer : answers) {
        assertTrue(answer.get());
      }
    } finally {
      threads.shutdownNow();
    }
  }

  private static void await(CountDownLatch latch) {
    try {
      latch.await();
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  /** Each call adds the bias once more. */
  private static void countingState(ObjectNode spec) {
    ObjectNode state = spec.putObject("states").putObject("total");
    state.put("dtype", "float32").put("layer", "dense").put("value", 0.5).putArray("shape").add(6);
    ObjectNode node = (ObjectNode) spec.at("/graphs/inference/nodes/1");
    node.put("op", "Add").putArray("inputs").add("total").add("dense/bias");
    ((ObjectNode) spec.at("/graphs/inference")).putArray("updates").addObject().put("variable", "total").put("value", "dense/Scaled");
  }

  @Test
  public void statesGoOnFromCallToCall() {
    try (KBridgeModel model = withSpec(KBridgeModelTest::countingState)) {
      INDArray x = goldenInput();
      INDArray bias = Bundle.open(file(), true).arrays().get("dense/bias");
      INDArray start = Nd4j.valueArrayOf(new long[] {6}, 0.5f, DataType.FLOAT);
      assertEquals(Map.of("total", start), model.states());
      model.predict(Map.of("x", x));
      INDArray once = start.add(bias);
      assertEquals(Map.of("total", once), model.states());
      INDArray second = model.predict(Map.of("x", x)).get("hidden");
      assertEquals(Map.of("total", once.add(bias)), model.states());
      model.warmUp(Map.of("x", x.shape()));
      model.values(Map.of("x", x), List.of("dense/Scaled"));
      model.selfTest();
      model.planSteps(Map.of("x", x), 2);
      assertEquals("others leave them alone", Map.of("total", once.add(bias)), model.states());
      model.setStates(Map.of("total", once));
      assertEquals(second, model.predict(Map.of("x", x)).get("hidden"));
      model.resetStates();
      assertEquals(Map.of("total", Nd4j.zeros(DataType.FLOAT, 6)), model.states());
    }
  }

  @Test
  public void statesThatDoNotFitAreRefused() {
    try (KBridgeModel model = withSpec(KBridgeModelTest::countingState)) {
      INDArray zeros = Nd4j.zeros(DataType.FLOAT, 6);
      assertFails(ErrorCode.INVALID_INPUT, () -> model.setStates(Map.of("other", zeros)), "'other'");
      assertFails(ErrorCode.INVALID_INPUT, () -> model.setStates(Map.of("total", Nd4j.zeros(DataType.FLOAT, 7))), "[7]");
      assertFails(ErrorCode.INVALID_INPUT, () -> model.setStates(Map.of("total", Nd4j.zeros(DataType.INT32, 6))), "INT");
      assertFails(ErrorCode.INVALID_INPUT, () -> model.predict(Map.of("x", Nd4j.zeros(DataType.FLOAT, 3, 5))), "x");
      assertEquals("a failed call leaves them", 0.5, model.states().get("total").getDouble(0), 0);
    }
    assertFails(
        ErrorCode.BUNDLE_FORMAT,
        () -> withSpec(spec -> {
          countingState(spec);
          ((ObjectNode) spec.at("/graphs/inference/updates/0")).put("value", "dense/Add");
        }),
        "another kind");
    assertFails(
        ErrorCode.BUNDLE_FORMAT,
        () -> withSpec(spec -> {
          countingState(spec);
          ((ObjectNode) spec.at("/graphs/inference/updates/0")).put("variable", "dense/bias");
        }),
        "is no state");
  }

  @Test
  public void threadsTakeTurnsWithStates() throws Exception {
    try (KBridgeModel model = withSpec(KBridgeModelTest::countingState)) {
      INDArray x = goldenInput();
      ExecutorService pool = Executors.newFixedThreadPool(4);
      List<Future<?>> calls = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        calls.add(pool.submit(() -> model.predict(Map.of("x", x))));
      }
      for (Future<?> call : calls) {
        call.get(60, TimeUnit.SECONDS);
      }
      pool.shutdown();
      INDArray bias = Bundle.open(file(), true).arrays().get("dense/bias");
      INDArray total = Nd4j.valueArrayOf(new long[] {6}, 0.5f, DataType.FLOAT);
      for (int i = 0; i < 200; i++) {
        total.addi(bias);
      }
      assertEquals("none is lost", Map.of("total", total), model.states());
    }
  }
}
