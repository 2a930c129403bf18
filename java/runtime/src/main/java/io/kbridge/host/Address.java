package io.kbridge.host;

import org.bytedeco.javacpp.Pointer;

/** Memory that belongs to somebody else, by its address; nothing is freed when this is gone. */
final class Address extends Pointer {
  /**
   * Names memory.
   *
   * @param address of its first byte
   * @param bytes its size
   */
  Address(long address, long bytes) {
    super((Pointer) null);
    this.address = address;
    this.limit = bytes;
    this.capacity = bytes;
  }
}
