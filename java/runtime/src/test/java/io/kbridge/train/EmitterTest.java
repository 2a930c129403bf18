package io.kbridge.train;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertThrows;

import io.kbridge.graph.ElementType;
import io.kbridge.plan.OpRegistry;
import io.kbridge.plan.Plan;
import io.kbridge.plan.PlanCache;
import io.kbridge.plan.PlanCompiler;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.Test;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

public class EmitterTest {
  private final Emitter e = new Emitter("test/");

  private static Sym floats(String name, long... shape) {
    return new Sym(name, ElementType.FLOAT32, shape);
  }

  private static float[] numbers(float... numbers) {
    return numbers;
  }

  /** Runs what has been written with some inputs; gives the output's elements. */
  private float[] run(Map<Sym, float[]> given, Sym output) {
    Map<String, INDArray> inputs = new LinkedHashMap<>();
    given.forEach((sym, numbers) -> inputs.put(sym.name(), Nd4j.createFromArray(numbers).reshape(sym.shape())));
    try (PlanCompiler compiler =
            new PlanCompiler(
                e.graph("test", List.copyOf(given.keySet()), List.of(), List.of(output)), e.constants(), OpRegistry.load());
        Plan plan = compiler.compile(PlanCache.shapes(inputs), List.of(output.name()))) {
      INDArray found = plan.run(inputs).get(output.name());
      assertArrayEquals(output.shape(), found.shape());
      return found.reshape(found.length()).toFloatVector();
    }
  }

  @Test
  public void operandsBroadcastAndSumsUndoThat() {
    Sym x = floats("x", 2, 3);
    Sym y = floats("y", 3);
    Sym z = e.sumTo(e.mul(e.add(x, y), 2), 3);
    assertArrayEquals(
        numbers(14, 22, 30), run(Map.of(x, numbers(1, 2, 3, 4, 5, 6), y, numbers(1, 2, 3)), z), 0);
  }

  @Test
  public void matricesAreTransposedOnTheWay() {
    Sym x = floats("x", 2, 3);
    Sym y = floats("y", 2, 1);
    assertArrayEquals(
        numbers(9, 12, 15), run(Map.of(x, numbers(1, 2, 3, 4, 5, 6), y, numbers(1, 2)), e.matmul(x, y, true, false)), 0);
  }

  @Test
  public void aMatrixMeetsItselfTransposed() {
    Sym x = floats("x", 2, 3);
    assertArrayEquals(
        numbers(14, 32, 32, 77), run(Map.of(x, numbers(1, 2, 3, 4, 5, 6)), e.matmul(x, x, false, true)), 0);
  }

  @Test
  public void aPartIsPaddedBack() {
    Sym x = floats("x", 4);
    Sym part = e.slice(x, 0, 1, 2);
    Sym whole = e.pad(part, new long[] {1}, 1);
    assertArrayEquals(numbers(0, 2, 3, 0), run(Map.of(x, numbers(1, 2, 3, 4)), whole), 0);
  }

  @Test
  public void chosenByAComparison() {
    Sym x = floats("x", 3);
    Sym z = e.where(e.compare("Greater", x, 0), x, e.full(ElementType.FLOAT32, 7, 3));
    assertArrayEquals(numbers(7, 7, 2), run(Map.of(x, numbers(-1, 0, 2)), z), 0);
  }

  @Test
  public void operandsHaveOneType() {
    Sym x = floats("x", 3);
    assertThrows(IllegalArgumentException.class, () -> e.add(x, e.cast(x, ElementType.FLOAT64)));
  }
}
