package io.kbridge.plan.control;

import static io.kbridge.Fixtures.assertFails;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.kbridge.ErrorCode;
import io.kbridge.TestOps;
import io.kbridge.graph.Attributes;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.GraphBody;
import io.kbridge.graph.GraphInput;
import io.kbridge.graph.GraphNode;
import io.kbridge.graph.ModelGraph;
import io.kbridge.graph.ValueInfo;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Plan;
import io.kbridge.plan.PlanCompiler;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.Test;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

public class ControlFlowTest {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long ANY = ValueInfo.ANY;

  private final TestOps ops = new TestOps();
  private final OpRegistry registry = ops.registry().add(new ControlFlow());
  private final ModelGraph.Builder graph = new ModelGraph.Builder("test", JSON.createObjectNode());

  private static ValueInfo value(String name, long... shape) {
    return new ValueInfo(name, shape, ElementType.FLOAT32);
  }

  private static GraphNode node(String op, String output, List<String> inputs) {
    return new GraphNode(output, op, "s", inputs, attrs("{}"), List.of(value(output, ANY)));
  }

  private static Attributes attrs(String json) {
    try {
      return new Attributes((ObjectNode) JSON.readTree(json.replace('\'', '"')), "test");
    } catch (JsonProcessingException e) {
      throw new AssertionError(e);
    }
  }

  private static GraphNode scan(GraphBody body, List<String> inputs, int states, ValueInfo... outputs) {
    String attrs = "{'num_xs': 1, 'num_states': " + states + ", 'axis': 0, 'reverse': false}";
    return new GraphNode("loop", "Scan", "s", inputs, attrs(attrs), Arrays.asList(outputs), List.of(body));
  }

  private static GraphBody body(List<ValueInfo> inputs, List<String> outputs, GraphNode... nodes) {
    return new GraphBody("body", inputs, Arrays.asList(nodes), outputs);
  }

  private Map<String, INDArray> run(INDArray x, INDArray h, String... wanted) {
    try (PlanCompiler compiler = new PlanCompiler(graph.build(), Map.of(), registry);
        Plan plan = compiler.compile(Map.of("x", x.shape(), "h", h.shape()), List.of(wanted))) {
      plan.run(Map.of("x", x, "h", h));
      return plan.run(Map.of("x", x, "h", h));
    }
  }

  private void inputs() {
    graph.input(new GraphInput(value("x", ANY, ANY), false));
    graph.input(new GraphInput(value("h", ANY), false));
  }

  @Test
  public void memoryOfABodyIsItsOwnAcrossRunsOfTheBody() {
    inputs();
    GraphBody body =
        body(
            List.of(value("xt", ANY), value("ht", ANY)),
            List.of("sum", "sum", "twice"),
            node("Relu", "a", List.of("xt")),
            node("Relu", "b", List.of("a")),
            node("Add", "sum", List.of("b", "ht")),
            node("Add", "twice", List.of("sum", "sum")));
    graph.node(scan(body, List.of("x", "h"), 1, value("loop", ANY), value("sums", ANY, ANY), value("twices", ANY, ANY)));
    INDArray x = Nd4j.createFromArray(new float[][] {{1, 2}, {3, -4}, {5, 6}});
    Map<String, INDArray> found = run(x, Nd4j.createFromArray(10f, 20f), "loop", "sums", "twices");
    assertEquals(Nd4j.createFromArray(19f, 28f), found.get("loop"));
    assertEquals(Nd4j.createFromArray(new float[][] {{11, 22}, {14, 22}, {19, 28}}), found.get("sums"));
    assertEquals(found.get("sums").mul(2), found.get("twices"));
  }

  @Test
  public void whatAllStepsReadIsComputedOnceAndLasts() {
    inputs();
    graph.node(node("Add", "outer", List.of("h", "h")));
    GraphBody body =
        body(
            List.of(value("xt", ANY), value("ht", ANY)),
            List.of("next", "fixed"),
            node("Add", "fixed", List.of("outer", "outer")),
            node("Relu", "scratch", List.of("xt")),
            node("Add", "next", List.of("scratch", "fixed")));
    graph.node(scan(body, List.of("x", "h", "outer"), 1, value("loop", ANY), value("fixeds", ANY, ANY)));
    INDArray x = Nd4j.createFromArray(new float[][] {{1, 2}, {3, 4}});
    Map<String, INDArray> found = run(x, Nd4j.createFromArray(1f, 10f), "loop", "fixeds");
    assertEquals(Nd4j.createFromArray(7f, 44f), found.get("loop"));
    assertEquals(Nd4j.createFromArray(new float[][] {{4, 40}, {4, 40}}), found.get("fixeds"));
  }

  @Test
  public void withoutStepsTheInitialStatesAreFinal() {
    inputs();
    GraphBody body =
        body(List.of(value("xt", ANY), value("ht", ANY)), List.of("next", "xt"), node("Add", "next", List.of("xt", "ht")));
    graph.node(scan(body, List.of("x", "h"), 1, value("loop", ANY), value("all", ANY, ANY)));
    Map<String, INDArray> found = run(Nd4j.create(DataType.FLOAT, 0, 2), Nd4j.createFromArray(1f, 2f), "loop", "all");
    assertEquals(Nd4j.createFromArray(1f, 2f), found.get("loop"));
    assertEquals(0, found.get("all").length());
  }

  @Test
  public void unknownOpsOfBodiesAreListedWithAllOthers() {
    inputs();
    graph.node(node("Nowhere", "n", List.of("h")));
    GraphBody body = body(List.of(value("xt", ANY)), List.of("m"), node("Neither", "m", List.of("xt")));
    graph.node(scan(body, List.of("x"), 0, value("loop", ANY, ANY)));
    assertFails(ErrorCode.UNSUPPORTED_OP, () -> new PlanCompiler(graph.build(), Map.of(), registry), "Neither", "Nowhere");
  }

  @Test
  public void aBodyMayReadOnlyWhatItsNodeLists() {
    inputs();
    GraphBody body = body(List.of(value("xt", ANY)), List.of("m"), node("Add", "m", List.of("xt", "h")));
    assertRefused(scan(body, List.of("x"), 0, value("loop", ANY, ANY)), "value 'h'", "not among the inputs");
  }

  @Test
  public void valuesOfABodyAreNotSeenOutsideAndTheirNamesStayTaken() {
    inputs();
    GraphBody body = body(List.of(value("xt", ANY)), List.of("m"), node("Relu", "m", List.of("xt")));
    graph.node(scan(body, List.of("x"), 0, value("loop", ANY, ANY)));
    assertRefused(node("Relu", "r", List.of("m")), "value 'm'", "not defined");
    assertRefused(node("Relu", "xt", List.of("h")), "value 'xt'", "defined twice");
  }

  @Test
  public void valuesOfABodyAreDefinedBeforeTheyAreRead() {
    inputs();
    GraphBody body =
        body(List.of(value("xt", ANY)), List.of("b"), node("Relu", "b", List.of("a")), node("Relu", "a", List.of("xt")));
    assertRefused(scan(body, List.of("x"), 0, value("loop", ANY, ANY)), "value 'a'", "not defined");
  }

  @Test
  public void aStateThatChangesItsShapeIsRefused() {
    inputs();
    GraphBody body = body(List.of(value("xt", ANY), value("ht", ANY)), List.of("xt"), node("Relu", "b", List.of("xt")));
    graph.node(scan(body, List.of("x", "h"), 1, value("loop", ANY)));
    INDArray x = Nd4j.createFromArray(new float[][] {{1, 2, 3}});
    assertFails(ErrorCode.BUNDLE_FORMAT, () -> run(x, Nd4j.createFromArray(1f, 2f), "loop"), "state 0 to keep its shape");
  }

  private void assertRefused(GraphNode node, String... parts) {
    String message = assertThrows(IllegalArgumentException.class, () -> graph.node(node)).getMessage();
    for (String part : parts) {
      assertTrue(message, message.contains(part));
    }
  }
}
