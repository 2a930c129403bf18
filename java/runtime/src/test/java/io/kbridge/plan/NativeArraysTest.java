package io.kbridge.plan;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import io.kbridge.graph.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;
import org.junit.Test;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.indexing.NDArrayIndex;

public class NativeArraysTest {
  private static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());
  }

  @Test
  public void sharesMemoryForEveryType() {
    for (ElementType type : ElementType.values()) {
      ByteBuffer memory = buffer(6 * type.bytes());
      BytePointer pointer = new BytePointer(memory);
      INDArray array = NativeArrays.over(pointer, type.dataType(), 2, 3);
      assertEquals(type.dataType(), array.dataType());
      assertEquals(type.kerasName(), pointer.address(), NativeArrays.address(array));
      array.assign(Nd4j.ones(DataType.FLOAT, 2, 3).castTo(type.dataType()));
      byte[] first = new byte[type.bytes()];
      memory.duplicate().get(first);
      INDArray one = Nd4j.ones(DataType.FLOAT, 1).castTo(type.dataType());
      byte[] expected = new byte[type.bytes()];
      new BytePointer(NativeArrays.pointer(one)).get(expected);
      assertArrayEquals("written through the array, seen in the memory: " + type.kerasName(), expected, first);
      memory.duplicate().put(new byte[type.bytes()]);
      assertEquals("written in the memory, seen through the array", 0.0, array.getDouble(0, 0), 0);
      assertEquals(1.0, array.getDouble(1, 2), 0);
    }
  }

  @Test
  public void makesScalarsAndEmptyArrays() {
    ByteBuffer memory = buffer(8);
    memory.putDouble(0, 2.5);
    INDArray scalar = NativeArrays.over(new BytePointer(memory), DataType.DOUBLE);
    assertEquals(0, scalar.rank());
    assertEquals(2.5, scalar.getDouble(0), 0);
    INDArray empty = NativeArrays.empty(DataType.INT64, 2, 0);
    assertTrue(empty.isEmpty());
    assertArrayEquals(new long[] {2, 0}, empty.shape());
  }

  @Test
  public void knowsWhereViewsBegin() {
    INDArray base = Nd4j.arange(24).castTo(DataType.INT16).reshape(2, 3, 4);
    INDArray view = base.get(NDArrayIndex.point(1), NDArrayIndex.interval(1, 3), NDArrayIndex.all());
    assertEquals(NativeArrays.address(base) + 2 * 16, NativeArrays.address(view));
    assertEquals(NativeArrays.address(view), NativeArrays.pointer(view).address());
  }

  @Test
  public void tellsDenseFromStrided() {
    INDArray base = Nd4j.arange(24).castTo(DataType.FLOAT).reshape(2, 3, 4);
    assertTrue(NativeArrays.isDense(base));
    assertTrue(NativeArrays.isDense(base.get(NDArrayIndex.point(1), NDArrayIndex.all(), NDArrayIndex.all())));
    assertTrue("sizes of 1 have no stride to speak of", NativeArrays.isDense(base.reshape(2, 1, 12).permute(1, 0, 2)));
    assertFalse(NativeArrays.isDense(base.permute(1, 0, 2)));
    assertFalse(NativeArrays.isDense(base.dup('f')));
    assertFalse(NativeArrays.isDense(base.get(NDArrayIndex.all(), NDArrayIndex.all(), NDArrayIndex.interval(0, 2))));
  }

  @Test
  public void computesLengthsAndStrides() {
    assertEquals(24, NativeArrays.length(2, 3, 4));
    assertEquals(1, NativeArrays.length());
    assertArrayEquals(new long[] {12, 4, 1}, NativeArrays.strides(2, 3, 4));
  }
}
