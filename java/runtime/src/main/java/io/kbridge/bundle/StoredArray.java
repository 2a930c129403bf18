package io.kbridge.bundle;

import io.kbridge.graph.ElementType;
import java.util.Arrays;

/** Where one dataset lies in the file and what it holds, after all checks that need no content. */
final class StoredArray {
  private final String path;
  private final long address;
  private final long bytes;
  private final long[] shape;
  private final ElementType storage;

  StoredArray(String path, long address, long bytes, long[] shape, ElementType storage) {
    this.path = path;
    this.address = address;
    this.bytes = bytes;
    this.shape = shape;
    this.storage = storage;
  }

  String path() {
    return path;
  }

  /** Returns the offset of the first byte in the file. */
  long address() {
    return address;
  }

  long bytes() {
    return bytes;
  }

  long[] shape() {
    return shape;
  }

  ElementType storage() {
    return storage;
  }

  /** Tells whether the dataset can hold values of a type: bool is stored as uint8, bfloat16 as uint16. */
  boolean holds(ElementType type) {
    switch (type) {
      case BOOL:
        return storage == ElementType.UINT8;
      case BFLOAT16:
        return storage == ElementType.UINT16;
      default:
        return storage == type;
    }
  }

  @Override
  public String toString() {
    return storage.kerasName() + Arrays.toString(shape);
  }
}
