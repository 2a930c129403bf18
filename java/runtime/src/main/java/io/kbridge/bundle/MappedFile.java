package io.kbridge.bundle;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.plan.MemoryAdvice;
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
 * A file mapped into memory, read-only. It stays mapped for as long as this object is reachable: it must be kept wherever arrays over its
 * memory are in use, since a native pointer keeps no Java buffer alive.
 */
final class MappedFile {
  // NB: FileChannel.map takes less than 2 GiB at once.
  private static final long PIECE = 1L << 30;

  private final Path file;
  private final List<Object> kept = new ArrayList<>();
  private final List<BytePointer> views = new ArrayList<>();
  /** The whole file in one mapping, or null if it is too large for one. */
  private final ByteBuffer whole;

  MappedFile(Path file, long bytes) {
    this.file = file;
    this.whole = bytes > Integer.MAX_VALUE ? null : map(0, bytes).get(0);
  }

  /** Gives the bytes of a stored array in pieces that Java can address, in order. */
  List<ByteBuffer> pieces(StoredArray array) {
    if (whole == null) {
      return map(array.address(), array.bytes());
    }
    ByteBuffer range = whole.duplicate();
    range.position((int) array.address()).limit((int) (array.address() + array.bytes()));
    return List.of(range.slice());
  }

  /** Lets the system take back the memory that shows the file, wherever arrays lie in it. */
  synchronized void forgetPages() {
    if (whole == null) {
      views.forEach(view -> MemoryAdvice.forgetMapped(view.address(), view.capacity()));
    } else {
      MemoryAdvice.forgetMapped(new BytePointer(whole).address(), whole.capacity());
    }
  }

  private List<ByteBuffer> map(long address, long bytes) {
    List<ByteBuffer> pieces = new ArrayList<>();
    long most = bytes > Integer.MAX_VALUE ? PIECE : bytes;
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
      for (long done = 0; done < bytes; ) {
        long size = Math.min(bytes - done, most);
        pieces.add(channel.map(FileChannel.MapMode.READ_ONLY, address + done, size));
        done += size;
      }
    } catch (IOException | OutOfMemoryError e) {
      throw new KBridgeException(
          ErrorCode.OUT_OF_MEMORY,
          "Expected to map " + bytes + " bytes of '" + file + "' into memory. Received: " + e
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
        views.add(mapped);
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
