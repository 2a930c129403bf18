package io.kbridge.host;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ElementType;
import io.kbridge.plan.NativeArrays;
import java.util.List;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * Arrays that a call gave, in native memory that stays until {@link #close}, also after the model is closed. It is no ND4J memory: ND4J
 * allocates with an alignment for which glibc cannot reuse the gaps that freed arrays leave, so that a process that makes and frees many
 * grows without need.
 */
public final class HostResult implements AutoCloseable {
  private final Pointer[] memory;
  private final long[] bytes;
  private final long[] layout;
  private boolean closed;

  HostResult(List<INDArray> arrays) {
    memory = new Pointer[arrays.size()];
    bytes = new long[arrays.size()];
    layout = new long[arrays.stream().mapToInt(array -> 3 + array.rank()).sum()];
    int at = 0;
    for (int i = 0; i < memory.length; i++) {
      INDArray array = arrays.get(i);
      bytes[i] = array.isEmpty() ? 0 : array.length() * array.dataType().width();
      memory[i] = array.isEmpty() ? null : copy(array, bytes[i]);
      layout[at++] = memory[i] == null ? 0 : memory[i].address();
      layout[at++] = ElementType.of(array.dataType()).ordinal();
      layout[at++] = array.rank();
      for (long size : array.shape()) {
        layout[at++] = size;
      }
    }
  }

  /**
   * Tells where the arrays lie: for each, the address of its first element, its element type (the ordinal of an {@link ElementType}), its
   * rank, and its sizes.
   *
   * @return these numbers, one array after the other; the address is 0 for an array without elements
   */
  public long[] layout() {
    return layout.clone();
  }

  /**
   * Copies the arrays to where the caller wants them.
   *
   * @param targets where each array is put: row-major, in native byte order; 0 for one without elements
   * @throws KBridgeException if there are not as many targets as arrays, or this is closed
   */
  public synchronized void copyTo(long[] targets) {
    if (targets.length != memory.length || closed) {
      throw new KBridgeException(
          ErrorCode.INTERNAL,
          "Expected " + memory.length + " targets of an open result. Received: " + targets.length + (closed ? ", after close()." : "."));
    }
    for (int i = 0; i < targets.length; i++) {
      if (memory[i] != null) {
        Pointer.memcpy(new Address(targets[i], bytes[i]), memory[i], bytes[i]);
      }
    }
  }

  /**
   * Tells whether the memory was freed.
   *
   * @return true after {@link #close}
   */
  public synchronized boolean closed() {
    return closed;
  }

  /** Frees the memory. May be called again. */
  @Override
  public synchronized void close() {
    closed = true;
    for (int i = 0; i < memory.length; i++) {
      if (memory[i] != null) {
        Pointer.free(memory[i]);
        memory[i] = null;
      }
    }
  }

  private Pointer copy(INDArray array, long size) {
    INDArray dense = NativeArrays.isDense(array) ? array : array.dup('c');
    Pointer copy = Pointer.malloc(size);
    if (copy == null || copy.isNull()) {
      close();
      throw new KBridgeException(
          ErrorCode.OUT_OF_MEMORY, "Expected " + size + " bytes of memory for an output. Received: none. Use smaller batches.");
    }
    NativeArrays.toHost(dense, copy);
    return copy;
  }
}
