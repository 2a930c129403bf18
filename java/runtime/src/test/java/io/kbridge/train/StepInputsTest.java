package io.kbridge.train;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ElementType;
import io.kbridge.graph.StepGraph;
import io.kbridge.graph.ValueInfo;
import java.util.List;
import java.util.Map;
import org.junit.Test;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

public class StepInputsTest {
  private static final List<StepGraph.Input> EXPECTED =
      List.of(
          input("x", ElementType.FLOAT32, StepGraph.Role.X, "image", ValueInfo.ANY, 3),
          input("y", ElementType.INT32, StepGraph.Role.Y, "class", ValueInfo.ANY, 1),
          input("w", ElementType.FLOAT32, StepGraph.Role.SAMPLE_WEIGHT, "class", ValueInfo.ANY));

  private static StepGraph.Input input(String name, ElementType type, StepGraph.Role role, String of, long... shape) {
    return new StepGraph.Input(new ValueInfo(name, shape, type), role, of);
  }

  private static Map<String, INDArray> inputs(Map<String, INDArray> x, Map<String, INDArray> y, Map<String, INDArray> w) {
    return StepInputs.of(EXPECTED, Map.of(StepGraph.Role.X, x, StepGraph.Role.Y, y, StepGraph.Role.SAMPLE_WEIGHT, w));
  }

  private static void refused(String part, Map<String, INDArray> x, Map<String, INDArray> y, Map<String, INDArray> w) {
    KBridgeException e = assertThrows(KBridgeException.class, () -> inputs(x, y, w));
    assertEquals(ErrorCode.INVALID_INPUT, e.code());
    assertTrue(e.getMessage(), e.getMessage().contains(part));
  }

  @Test
  public void weightsThatAreLeftOutAreOnes() {
    INDArray x = Nd4j.rand(DataType.FLOAT, 4, 3);
    Map<String, INDArray> found = inputs(Map.of("image", x), Map.of("class", Nd4j.createFromArray(new int[] {2, 0, 1, 2})), Map.of());
    assertEquals(List.of("x", "y", "w"), List.copyOf(found.keySet()));
    assertSame(x, found.get("x"));
    assertArrayEquals(new float[] {1, 1, 1, 1}, found.get("w").toFloatVector(), 0);
  }

  @Test
  public void labelsAreCastAndGetTheAxisTheLossWants() {
    INDArray y = Nd4j.createFromArray(new double[] {2, 0});
    INDArray w = Nd4j.createFromArray(new float[] {0.5f, 3}).reshape(2, 1);
    Map<String, INDArray> found = inputs(Map.of("image", Nd4j.zeros(2, 3)), Map.of("class", y), Map.of("class", w));
    assertEquals(DataType.INT32, found.get("y").dataType());
    assertArrayEquals(new long[] {2, 1}, found.get("y").shape());
    assertArrayEquals(new int[] {2, 0}, found.get("y").reshape(2).toIntVector());
    assertArrayEquals(new long[] {2}, found.get("w").shape());
    assertArrayEquals(new float[] {0.5f, 3}, found.get("w").toFloatVector(), 0);
  }

  @Test
  public void allThatDoesNotFitIsTold() {
    INDArray good = Nd4j.zeros(2, 3);
    INDArray labels = Nd4j.zeros(DataType.INT32, 2, 1);
    refused("input of 'image' as float32[2, 4]", Map.of("image", Nd4j.zeros(2, 4)), Map.of("class", labels), Map.of());
    refused("no labels of 'class'", Map.of("image", good), Map.of(), Map.of());
    refused("labels for 'other', which there are none of", Map.of("image", good), Map.of("class", labels, "other", labels), Map.of());
    refused("input of 'image' as float32[2, 4]; no labels of 'class'", Map.of("image", Nd4j.zeros(2, 4)), Map.of(), Map.of());
  }

  @Test
  public void allHaveAsManySamples() {
    INDArray labels = Nd4j.zeros(DataType.INT32, 3, 1);
    refused("Received: batches of [2, 3]", Map.of("image", Nd4j.zeros(2, 3)), Map.of("class", labels), Map.of());
  }
}
