package io.kbridge.host;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.util.concurrent.atomic.AtomicInteger;
import org.bytedeco.javacpp.LongPointer;
import org.nd4j.nativeblas.NativeOps;
import org.nd4j.nativeblas.NativeOpsHolder;

/** Memory that two processes see, mapped for as long as it is known or a call works on it. */
public final class SharedSegment {
  // The one who knows it, and the calls that work on it.
  private final AtomicInteger users = new AtomicInteger(1);
  private final LongPointer mapping;
  private final long bytes;

  SharedSegment(String file, long bytes) {
    // NB: Java's own FileChannel.map takes less than 2 GiB.
    this.mapping = nativeOps().mmapFile(null, file, bytes);
    this.bytes = bytes;
    if (mapping == null || mapping.get(0) == 0 || mapping.get(0) == -1) {
      throw new KBridgeException(
          ErrorCode.OUT_OF_MEMORY,
          "Expected to map " + bytes + " bytes of shared memory. Received: none. Use smaller batches, or allow more address space (ulimit -v).");
    }
  }

  /**
   * Tells where the memory lies in this process.
   *
   * @return the address of its first byte
   */
  public long address() {
    return mapping.get(0);
  }

  void retain() {
    users.incrementAndGet();
  }

  void release() {
    if (users.decrementAndGet() == 0) {
      nativeOps().munmapFile(null, mapping, bytes);
    }
  }

  private static NativeOps nativeOps() {
    return NativeOpsHolder.getInstance().getDeviceNativeOps();
  }
}
