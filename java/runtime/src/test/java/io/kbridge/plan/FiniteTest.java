package io.kbridge.plan;

import static org.junit.Assert.assertEquals;

import org.junit.Test;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

public class FiniteTest {
  private static final DataType[] TYPES = {DataType.DOUBLE, DataType.FLOAT, DataType.FLOAT16, DataType.BFLOAT16};

  @Test
  public void everyPlaceOfEveryTypeIsSeen() {
    for (DataType type : TYPES) {
      for (int length = 1; length < 12; length++) {
        INDArray ordinary = Nd4j.createFromArray(new double[length]).assign(type == DataType.FLOAT16 ? -65504 : -3e38).castTo(type);
        assertEquals(type + " " + length, true, Finite.all(ordinary));
        for (int at = 0; at < length; at++) {
          for (double odd : new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
            INDArray array = ordinary.dup();
            array.putScalar(at, odd);
            assertEquals(type + " " + length + " " + at, false, Finite.all(array));
          }
        }
      }
    }
  }

  @Test
  public void viewsAreLookedAtWhereTheyAre() {
    INDArray all = Nd4j.createFromArray(new float[][] {{1, Float.NaN, 3}, {4, 5, 6}});
    assertEquals(false, Finite.all(all));
    assertEquals(true, Finite.all(all.getRow(1)));
    assertEquals(true, Finite.all(all.getColumn(2)));
    assertEquals(false, Finite.all(all.getColumn(1)));
  }

  @Test
  public void integersAreAlwaysFinite() {
    assertEquals(true, Finite.all(Nd4j.createFromArray(new int[] {0x7f800000, -1})));
  }

  @Test
  public void oneOddNumberAmongManyIsSeen() {
    INDArray many = Nd4j.rand(DataType.FLOAT, (1 << 17) + 3).subi(0.5);
    assertEquals(true, Finite.all(many));
    for (long at : new long[] {0, 17, (1 << 16) - 1, 1 << 16, many.length() - 1}) {
      for (float odd : new float[] {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY}) {
        INDArray array = many.dup();
        array.putScalar(at, odd);
        assertEquals(odd + " at " + at, false, Finite.all(array));
      }
    }
  }
}
