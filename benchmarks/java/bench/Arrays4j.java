package bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;

/** ND4J arrays from and to plain memory. */
final class Arrays4j {
  private Arrays4j() {}

  static INDArray array(ByteBuffer data, long[] shape) {
    INDArray array = Nd4j.createUninitialized(DataType.FLOAT, shape, 'c');
    Pointer.memcpy(array.data().pointer(), new BytePointer(data.duplicate()), data.remaining());
    return array;
  }

  static Engine.Answer answer(INDArray output) {
    INDArray dense = output.castTo(DataType.FLOAT).dup('c');
    ByteBuffer data = ByteBuffer.allocateDirect(Math.toIntExact(4 * dense.length())).order(ByteOrder.nativeOrder());
    Pointer.memcpy(new BytePointer(data), dense.data().pointer(), data.capacity());
    return new Engine.Answer(data, dense.shape());
  }
}
