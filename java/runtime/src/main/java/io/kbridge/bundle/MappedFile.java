package io.kbridge.bundle;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/**
 * A file mapped into memory, read-only, piece by piece. The pieces stay mapped for as long as this object is reachable: it must be
 * kept wherever arrays over its memory are in use, since a native pointer keeps no Java buffer alive.
 */
final class MappedFile {
  private final Path file;
  private final List<Object> kept = new ArrayList<>();

  MappedFile(Path file) {
    this.file = file;
  }

  /** Gives the bytes of a stored array in pieces that Java can address, in order. */
  List<ByteBuffer> pieces(StoredArray array) {
    List<ByteBuffer> pieces = new ArrayList<>();
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      // NB: 1 GiB, because FileChannel.map takes no more than 2 GiB at once.
      for (long done = 0; done < array.bytes(); ) {
        long size = Math.min(array.bytes() - done, 1L << 30);
        pieces.add(channel.map(FileChannel.MapMode.READ_ONLY, array.address() + done, size));
        done += size;
      }
    } catch (IOException | OutOfMemoryError e) {
      throw new KBridgeException(
          ErrorCode.OUT_OF_MEMORY,
          "Expected to map " + array.bytes() + " bytes of '" + file + "' into memory. Received: " + e
              + ". Free address space (ulimit -v), or copy the file to a local disk.",
          e);
    }
    return pieces;
  }

  /**
   * Gives the memory of a stored array. It is the mapped file itself where it is aligned for the element size and small enough to be
   * mapped at once, a copy otherwise.
   *
   * @param array the array, not empty
   * @param alignment the size of one element
   */
  synchronized Pointer pointer(StoredArray array, int alignment) {
    List<ByteBuffer> pieces = pieces(array);
    if (pieces.size() == 1) {
      ByteBuffer only = pieces.get(0);
      BytePointer mapped = new BytePointer(only);
      if (mapped.address() % alignment == 0) {
        kept.add(only);
        kept.add(mapped);
        return mapped;
      }
    }
    BytePointer copy = new BytePointer(array.bytes());
    kept.add(copy);
    long done = 0;
    for (ByteBuffer piece : pieces) {
      Pointer.memcpy(copy.getPointer(BytePointer.class, done), new BytePointer(piece), piece.capacity());
      done += piece.capacity();
    }
    return copy;
  }
}
