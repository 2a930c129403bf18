package io.kbridge.train.gradient;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ElementType;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Plan;
import io.kbridge.plan.PlanCache;
import io.kbridge.plan.PlanCompiler;
import io.kbridge.train.Emitter;
import io.kbridge.train.Sym;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.Test;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

public class BackwardTest {
  private final Emitter e = new Emitter("test/");
  private final Sym x = new Sym("x", ElementType.FLOAT32, new long[] {3});
  private final Sym y = new Sym("y", ElementType.FLOAT32, new long[] {3});
  private final Sym table = new Sym("table", ElementType.FLOAT32, new long[] {4, 2});
  private final Sym numbers = new Sym("numbers", ElementType.INT32, new long[] {3});
  private final Map<String, INDArray> content =
      Map.of(
          "x", Nd4j.createFromArray(new float[] {1, -2, 3}),
          "y", Nd4j.createFromArray(new float[] {5, 7, -1}),
          "table", Nd4j.createFromArray(new float[] {1, 2, 3, 4, 5, 6, 7, 8}).reshape(4, 2),
          "numbers", Nd4j.createFromArray(new int[] {2, 0, 2}));
  private final Backward backward = new Backward(e, RuleRegistry.load(), List.of(x, y, table, numbers));

  private Map<String, Sym> gradients(Sym loss, Sym... targets) {
    return backward.gradients(Map.of(loss.name(), e.full(loss.type(), 1, loss.shape())), List.of(targets));
  }

  private float[] run(Sym output) {
    List<Sym> given = List.of(x, y, table, numbers);
    Map<String, INDArray> inputs = new LinkedHashMap<>(content);
    try (PlanCompiler compiler =
            new PlanCompiler(e.graph("test", given, List.of(), List.of(output)), e.constants(), OpRegistry.load());
        Plan plan = compiler.compile(PlanCache.shapes(inputs), List.of(output.name()))) {
      INDArray found = plan.run(inputs).get(output.name());
      assertArrayEquals(output.shape(), found.shape());
      return found.reshape(found.length()).castTo(DataType.FLOAT).toFloatVector();
    }
  }

  @Test
  public void aValueGetsTheSumOfWhatItsReadersGive() {
    Sym loss = e.sum(e.add(e.mul(x, y), e.square(x)));
    Map<String, Sym> found = gradients(loss, x, y);
    assertArrayEquals(new float[] {7, 3, 5}, run(found.get("x")), 0);
    assertArrayEquals(new float[] {1, -2, 3}, run(found.get("y")), 0);
  }

  @Test
  public void whatTheLossDoesNotDependOnGetsZeros() {
    Sym loss = e.sum(e.square(x));
    assertArrayEquals(new float[] {0, 0, 0}, run(gradients(loss, x, y).get("y")), 0);
  }

  @Test
  public void gradientsBeginWithTheSeeds() {
    Sym loss = e.sum(e.square(x));
    Map<String, Sym> found = backward.gradients(Map.of(loss.name(), e.constant(ElementType.FLOAT32, 1024)), List.of(x));
    assertArrayEquals(new float[] {2048, -4096, 6144}, run(found.get("x")), 0);
  }

  @Test
  public void noGradientGoesThroughAComparisonOrWhatIsStopped() {
    Sym gate = e.cast(e.compare("Greater", x, 0), ElementType.FLOAT32);
    Sym stopped = e.unary("StopGradient", x);
    Sym loss = e.sum(e.add(e.mul(gate, x), e.mul(stopped, x)));
    assertArrayEquals(new float[] {2, -2, 4}, run(gradients(loss, x).get("x")), 0);
  }

  @Test
  public void rowsThatAreReadByIndexAreToldBeforeTheyAreAddedUp() {
    Sym rows = e.node("Take", List.of(table, numbers), Emitter.attrs().put("axis", 0), table.type(), 3, 2);
    Map<String, Sym> found = gradients(e.sum(e.square(rows)), table);
    assertArrayEquals(new float[] {2, 4, 0, 0, 20, 24, 0, 0}, run(found.get("table")), 0);
    Sym[] parts = backward.rows().get("table");
    assertArrayEquals(new float[] {2, 0, 2}, run(parts[0]), 0);
    assertArrayEquals(new float[] {10, 12, 2, 4, 10, 12}, run(parts[1]), 0);
  }

  @Test
  public void aTableWithAnotherReaderHasNoRows() {
    Sym rows = e.node("Take", List.of(table, numbers), Emitter.attrs().put("axis", 0), table.type(), 3, 2);
    Sym loss = e.add(e.sum(rows), e.sum(table));
    assertArrayEquals(new float[] {2, 2, 1, 1, 3, 3, 1, 1}, run(gradients(loss, table).get("table")), 0);
    assertTrue(backward.rows().isEmpty());
  }

  @Test
  public void allOpsWithoutRuleAreToldAtOnce() {
    e.scope("first");
    Sym odd = e.unary("NobodyKnows", x);
    e.scope("second");
    Sym loss = e.sum(e.unary("NorThis", odd));
    int before = e.nodes().size();
    KBridgeException failure = assertThrows(KBridgeException.class, () -> gradients(loss, x));
    assertEquals(ErrorCode.UNSUPPORTED_OP, failure.code());
    assertTrue(failure.getMessage(), failure.getMessage().contains("NobodyKnows (in layers 'first')"));
    assertTrue(failure.getMessage(), failure.getMessage().contains("NorThis (in layers 'second')"));
    List<String> written = new ArrayList<>();
    e.nodes().subList(before, e.nodes().size()).forEach(node -> written.add(node.op()));
    assertFalse(written.toString(), written.contains("Multiply"));
  }

  @Test
  public void anOpWithoutRuleMayLieBesideTheWay() {
    Sym odd = e.sum(e.unary("NobodyKnows", y));
    Map<String, Sym> found = gradients(e.add(e.sum(e.square(x)), odd), x);
    assertArrayEquals(new long[] {3}, found.get("x").shape());
  }
}
