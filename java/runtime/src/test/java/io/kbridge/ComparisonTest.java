package io.kbridge;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import org.junit.Test;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

public class ComparisonTest {
  private static final double NAN = Double.NaN;
  private static final double INF = Double.POSITIVE_INFINITY;

  private static SelfTestReport.Output compare(double actual, double expected) {
    return Comparison.compare("y", Nd4j.createFromArray(1.0, actual), Nd4j.createFromArray(1.0, expected), 0.1, 0.01);
  }

  @Test
  public void theToleranceScalesWithWhatWasExpected() {
    assertTrue(compare(10.9, 10).ok());
    assertFalse("1.09 is more than 0.01 + 0.1 * 9.9", compare(10.99, 9.9).ok());
    assertTrue("the same difference the other way round", compare(9.9, 10.99).ok());
    assertTrue(compare(0.009, 0).ok());
    assertFalse(compare(0.011, 0).ok());
    assertFalse(compare(-10, 10).ok());
  }

  @Test
  public void nanAndInfinityAgreeWithThemselvesAlone() {
    assertTrue(compare(NAN, NAN).ok());
    assertTrue(compare(INF, INF).ok());
    assertTrue(compare(-INF, -INF).ok());
    double[][] different = {{NAN, 1}, {1, NAN}, {INF, 1}, {1, INF}, {INF, -INF}, {NAN, INF}, {INF, NAN}};
    for (double[] pair : different) {
      SelfTestReport.Output output = compare(pair[0], pair[1]);
      assertEquals(1, output.wrong());
      assertEquals(INF, output.maxAbsoluteError(), 0);
    }
  }

  @Test
  public void reportsTheLargestErrors() {
    SelfTestReport.Output output = compare(10.5, 10);
    assertEquals(0.5, output.maxAbsoluteError(), 1e-12);
    assertEquals(0.05, output.maxRelativeError(), 1e-12);
    assertEquals(2, output.elements());
    assertEquals(INF, compare(0.001, 0).maxRelativeError(), 0);
  }

  @Test
  public void comparesEveryType() {
    for (io.kbridge.graph.ElementType type : io.kbridge.graph.ElementType.values()) {
      INDArray a = Nd4j.createFromArray(0.0, 1.0).castTo(type.dataType());
      INDArray b = Nd4j.createFromArray(0.0, 0.0).castTo(type.dataType());
      assertTrue(type.kerasName(), Comparison.compare("y", a, a, 0, 0).ok());
      assertEquals(type.kerasName(), 1, Comparison.compare("y", a, b, 0.1, 0.1).wrong());
      INDArray scalar = Nd4j.scalar(type.dataType(), 1);
      assertTrue(type.kerasName(), Comparison.compare("y", scalar, scalar, 0, 0).ok());
    }
    INDArray empty = Nd4j.create(DataType.FLOAT, 0, 3);
    assertTrue(Comparison.compare("y", empty, empty, 0, 0).ok());
  }
}
