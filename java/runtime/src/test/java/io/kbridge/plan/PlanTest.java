package io.kbridge.plan;

import static io.kbridge.Fixtures.assertFails;
import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.TestOps;
import io.kbridge.graph.ArrayEntry;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.Test;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

public class PlanTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long ANY = ValueInfo.ANY;

  private final TestOps ops = new TestOps();
  private final OpRegistry registry = ops.registry();
  private final ModelGraph.Builder graph = new ModelGraph.Builder("test", JSON.createObjectNode());
  private final Map<String, INDArray> arrays = new LinkedHashMap<>();

  private static ValueInfo value(String name, long... shape) {
    return new ValueInfo(name, shape, ElementType.FLOAT32);
  }

  private static ObjectNode json(String text) {
    try {
      return (ObjectNode) JSON.readTree(text.replace('\'', '"'));
    } catch (JsonProcessingException e) {
      throw new AssertionError(e);
    }
  }

  private static GraphNode node(String op, String attrs, List<String> inputs, ValueInfo... outputs) {
    String name = outputs[0].name();
    return new GraphNode(name, op, "scope/" + name, inputs, new Attributes(json(attrs), name), Arrays.asList(outputs));
  }

  private void input(String name, long... shape) {
    graph.input(new GraphInput(value(name, shape), false));
  }

  private void weight(String name, float... content) {
    graph.weight(new ArrayEntry(value(name, content.length), "/" + name, "", json("{}")));
    arrays.put(name, Nd4j.createFromArray(content));
  }

  private void add(String op, String output, String... inputs) {
    graph.node(node(op, "{}", Arrays.asList(inputs), value(output, ANY)));
  }

  private Plan compile(long[] shape, String... wanted) {
    return new PlanCompiler(graph.build(), arrays, registry).compile(Map.of("x", shape), List.of(wanted));
  }

  private static INDArray vector(float... content) {
    return Nd4j.createFromArray(content);
  }

  @Test
  public void memoryIsUsedAgainAfterTheLastReader() {
    input("x", ANY);
    String before = "x";
    for (int i = 0; i < 20; i++) {
      add("Relu", "r" + i, before);
      before = "r" + i;
    }
    long bytes = 4 << 20;
    Plan few = compile(new long[] {1 << 20}, "r19");
    assertTrue("input, output and scratch at once: " + few.arenaBytes(), few.arenaBytes() <= 4 * bytes);
    Plan all = compile(new long[] {1 << 20}, "r0", "r5", "r10", "r15", "r19");
    assertTrue("what is wanted is kept: " + all.arenaBytes(), all.arenaBytes() >= 6 * bytes);
    INDArray x = Nd4j.rand(DataType.FLOAT, 1 << 20);
    assertEquals(x, few.run(Map.of("x", x)).get("r19"));
    all.run(Map.of("x", x)).values().forEach(result -> assertEquals(x, result));
  }

  @Test
  public void aValueLivesUntilItsLastReaderHasRun() {
    input("x", ANY);
    add("Relu", "a", "x");
    add("Relu", "b", "a");
    add("Relu", "c", "b");
    add("Relu", "d", "c");
    add("Add", "e", "d", "a");
    add("Add", "f", "e", "x");
    Plan plan = compile(new long[] {3}, "f");
    for (int i = 0; i < 3; i++) {
      assertEquals(vector(3, 6, -3), plan.run(Map.of("x", vector(1, 2, -3))).get("f"));
    }
  }

  @Test
  public void noStepWritesWhereItReads() {
    input("x", ANY);
    List<String> overlaps = new ArrayList<>();
    OpRegistry watching = new OpRegistry();
    registry.names().forEach(name -> watching.op(name, context -> {
      Step step = registry.get(name).compile(context);
      NodeContext concrete = (NodeContext) context;
      for (int o = 0; o < context.node().outputs().size() && step != null; o++) {
        for (int i = 0; i < context.inputCount(); i++) {
          if (overlap(concrete.output(o).array(), context.input(i))) {
            overlaps.add(context.node().name());
          }
        }
      }
      return step;
    }));
    add("Relu", "a", "x");
    add("Add", "b", "a", "a");
    add("Relu", "c", "b");
    add("Add", "d", "c", "b");
    new PlanCompiler(graph.build(), arrays, watching).compile(Map.of("x", new long[] {100}), List.of("d"));
    assertEquals(List.of(), overlaps);
  }

  private static boolean overlap(INDArray a, INDArray b) {
    long from = NativeArrays.address(a);
    long other = NativeArrays.address(b);
    return from < other + b.length() * 4 && other < from + a.length() * 4;
  }

  @Test
  public void viewsShareMemoryAndKeepItAlive() {
    input("x", ANY);
    add("Relu", "a", "x");
    String wide = "{'newshape': [2, {'dims': [['x', 0]], 'num': 1, 'den': 2}]}";
    graph.node(node("Reshape", wide, List.of("a"), value("v", 2, ANY)));
    graph.node(node("Reshape", "{'newshape': [4]}", List.of("v"), value("w", ANY)));
    add("Relu", "b", "x");
    add("Relu", "c", "b");
    add("Add", "d", "c", "w");
    Plan plan = compile(new long[] {4}, "d");
    assertEquals("views need no step", 4, plan.stepCount());
    assertEquals(vector(2, 0, 6, 8), plan.run(Map.of("x", vector(1, -2, 3, 4))).get("d"));
    assertArrayEquals(new long[] {2, 2}, compile(new long[] {4}, "v").run(Map.of("x", vector(1, -2, 3, 4))).get("v").shape());
  }

  @Test
  public void anInputIsGivenBackUnchanged() {
    input("x", ANY);
    add("Relu", "a", "x");
    graph.node(node("Reshape", "{'newshape': [1, 2]}", List.of("x"), value("v", 1, 2)));
    Map<String, INDArray> results = compile(new long[] {2}, "a", "x", "v").run(Map.of("x", vector(-1, 2)));
    assertEquals(vector(-1, 2), results.get("x"));
    assertEquals(vector(-1, 2).reshape(1, 2), results.get("v"));
    assertEquals(vector(0, 2), results.get("a"));
  }

  @Test
  public void unusedOutputsAndDeadNodesCostNothing() {
    input("x", ANY);
    graph.node(node("Split", "{}", List.of("x"), value("low", ANY), value("high", ANY)));
    add("Relu", "dead", "high");
    add("Relu", "a", "low");
    assertEquals(vector(0, 2), compile(new long[] {4}, "a").run(Map.of("x", vector(-1, 2, 3, 4))).get("a"));
    assertEquals(List.of("low", "a"), ops.compiled);
    assertEquals(vector(3, 4), compile(new long[] {4}, "high").run(Map.of("x", vector(-1, 2, 3, 4))).get("high"));
  }

  @Test
  public void whatDependsOnConstantsAloneIsComputedOnce() {
    input("x", ANY);
    weight("w", -1, 2);
    add("Relu", "c1", "w");
    add("Add", "c2", "c1", "w");
    add("Add", "y", "x", "c2");
    PlanCompiler compiler = new PlanCompiler(graph.build(), arrays, registry);
    Plan first = compiler.compile(Map.of("x", new long[] {2}), List.of("y"));
    Plan second = compiler.compile(Map.of("x", new long[] {4}), List.of("y", "c2"));
    assertEquals(1, first.stepCount());
    assertEquals(List.of("c1", "c2", "y", "y"), ops.compiled);
    assertEquals(vector(9, 14), first.run(Map.of("x", vector(10, 10))).get("y"));
    Map<String, INDArray> results = second.run(Map.of("x", vector(0, 0, 10, 10)));
    assertEquals(vector(-1, 4, 9, 14), results.get("y"));
    assertEquals(vector(-1, 4), results.get("c2"));
    first.close();
    assertEquals(vector(-1, 4), second.run(Map.of("x", vector(0, 0, 0, 0))).get("c2"));
  }

  @Test
  public void sizesFollowTheShapesAtHand() {
    input("x", ANY, 4);
    graph.node(node("Reshape", "{'newshape': [{'dims': [['x', 0], ['x', 1]], 'den': 3, 'add': 1}, 1]}", List.of("x"), value("y", ANY, 1)));
    List<Long> seen = new ArrayList<>();
    OpRegistry watching = new OpRegistry().op("Reshape", context -> {
      seen.add(context.dims("newshape")[0]);
      seen.add(context.resolve(context.attrs().json("newshape").get(1)));
      context.allocate(0, seen.get(0), 1);
      return () -> { };
    });
    new PlanCompiler(graph.build(), arrays, watching).compile(Map.of("x", new long[] {2, 4}), List.of("y"));
    assertEquals("floor(2 * 4 / 3) + 1", List.of(3L, 1L), seen);
  }

  @Test
  public void aStepThatFailsSaysWhere() {
    input("x", ANY);
    add("Relu", "a", "x");
    OpRegistry failing = new OpRegistry().op("Relu", context -> {
      context.allocate(0, context.input(0).shape());
      return () -> {
        throw new IllegalStateException("boom");
      };
    });
    Plan plan = new PlanCompiler(graph.build(), arrays, failing).compile(Map.of("x", new long[] {7}), List.of("a"));
    assertFails(ErrorCode.INTERNAL, () -> plan.run(Map.of("x", Nd4j.ones(DataType.FLOAT, 7))),
        "'a'", "op Relu", "scope/a", "boom", "float32[7]");
  }

  @Test
  public void mappingsAreHeldToTheSpec() {
    input("x", ANY);
    graph.node(node("Relu", "{}", List.of("x"), value("a", 3)));
    assertFails(ErrorCode.INTERNAL, () -> compile(new long[] {2}, "a"), "a: float32[3]", "[2]");
    assertMappingFails(context -> () -> { }, "every output");
    assertMappingFails(context -> {
      context.allocate(0, 3);
      context.allocate(0, 3);
      return null;
    }, "given once");
    assertMappingFails(context -> {
      context.alias(0, Nd4j.ones(DataType.FLOAT, 3));
      return null;
    }, "memory of its own");
    assertMappingFails(context -> {
      context.alias(0, context.input(0).castTo(DataType.DOUBLE));
      return null;
    }, "DOUBLE");
    assertMappingFails(context -> {
      context.input(1);
      return null;
    }, "input 1");
    assertMappingFails(context -> {
      throw new ArrayIndexOutOfBoundsException("oops");
    }, "to compile", "oops");
  }

  private void assertMappingFails(OpMapping mapping, String... parts) {
    PlanCompiler compiler = new PlanCompiler(graph.build(), arrays, new OpRegistry().op("Relu", mapping));
    KBridgeException error =
        assertThrows(
            KBridgeException.class, () -> compiler.compile(Map.of("x", new long[] {3}), List.of("a")));
    for (String part : parts) {
      assertTrue(error.getMessage(), error.getMessage().contains(part));
    }
  }

  @Test
  public void tooMuchMemoryIsAnErrorNotACrash() {
    input("x", ANY);
    add("Relu", "a", "x");
    assertFails(ErrorCode.OUT_OF_MEMORY, () -> compile(new long[] {1L << 50}, "a"), "bytes");
  }

  @Test
  public void anOpIsRegisteredOnce() {
    assertFails(ErrorCode.INTERNAL, () -> ops.registry().add(new TestOps()), "'Matmul'", "TestOps");
    assertFails(ErrorCode.UNSUPPORTED_OP, () -> registry.get("Nonsense"), "'Nonsense'", "Relu");
    assertFalse(registry.contains("Nonsense"));
  }

  @Test
  public void theCacheForgetsTheShapesUsedLongestAgo() {
    input("x", ANY);
    add("Relu", "a", "x");
    PlanCompiler compiler = new PlanCompiler(graph.build(), arrays, registry);
    try (PlanCache cache = new PlanCache(compiler, List.of("a"), 2, 1)) {
      for (int size : new int[] {1, 2, 1, 3, 1, 2}) {
        assertArrayEquals(new long[] {size}, cache.run(Map.of("x", Nd4j.ones(DataType.FLOAT, size))).get("a").shape());
      }
      assertEquals("1 stayed, 2 was dropped for 3 and made again", 4, ops.compiled.size());
      assertEquals(2, cache.size());
    }
  }
}
