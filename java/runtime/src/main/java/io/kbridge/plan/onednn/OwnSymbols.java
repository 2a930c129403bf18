package io.kbridge.plan.onednn;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.dnnl.presets.dnnl;
import org.bytedeco.javacpp.Loader;

/**
 * Keeps our oneDNN apart from others in the process. TensorFlow contains a oneDNN of another version and shows its symbols to the whole
 * process, so that the dynamic linker would take functions of that one for ours: Winograd nets crashed in a 1x1 convolution that was not
 * their own. So our copy, as JavaCPP has unpacked it, is told to look for symbols in itself first (DT_SYMBOLIC), and its variables that are
 * marked as one per process (STB_GNU_UNIQUE) become ordinary ones, before it is loaded.
 */
final class OwnSymbols {
  private static final int ELF = 0x464c457f;
  private static final int DYNAMIC = 6;
  private static final int DYNAMIC_SYMBOLS = 11;
  private static final int SECTION_BYTES = 64;
  private static final int SYMBOL_BYTES = 24;
  private static final int ENTRY_BYTES = 16;
  private static final long DT_NULL = 0;
  private static final long DT_SYMBOLIC = 16;
  private static final int UNIQUE = 10;
  private static final int WEAK = 2;

  private final Path library;
  private final FileChannel file;
  private final Map<Long, ByteBuffer> changes = new HashMap<>();

  private OwnSymbols(Path library, FileChannel file) {
    this.library = library;
    this.file = file;
  }

  /** Unpacks the libraries and changes them, unless that has been done. */
  static void give() {
    try {
      for (String name : List.of("libdnnl.so.2", "libjnidnnl.so")) {
        // NB: another platform's libraries are not called that, and its linkers do not mix symbols.
        File unpacked = Loader.cacheResource(dnnl.class, "/org/bytedeco/dnnl/" + Loader.getPlatform() + "/" + name);
        if (unpacked != null) {
          change(unpacked.toPath());
        }
      }
    } catch (IOException e) {
      throw new KBridgeException(
          ErrorCode.DEVICE_UNAVAILABLE,
          "Expected to unpack oneDNN into JavaCPP's cache. Received: " + e
              + ". Give a folder that can be written as -Dorg.bytedeco.javacpp.cachedir, or use engine 'nd4j'.",
          e);
    }
  }

  /**
   * Changes a library. The file keeps its size and date, by which JavaCPP knows it.
   *
   * @param library a shared library
   * @return whether anything had to be changed
   */
  static boolean change(Path library) throws IOException {
    try (FileChannel file = FileChannel.open(library)) {
      OwnSymbols own = new OwnSymbols(library, file);
      own.findChanges();
      if (!own.changes.isEmpty()) {
        own.replace();
      }
      return !own.changes.isEmpty();
    }
  }

  private void findChanges() throws IOException {
    ByteBuffer header = read(0, SECTION_BYTES);
    if (header.getInt(0) != ELF) {
      return;
    }
    ByteBuffer sections = read(header.getLong(40), header.getShort(60) * SECTION_BYTES);
    for (int at = 0; at < sections.capacity(); at += SECTION_BYTES) {
      int type = sections.getInt(at + 4);
      if (type == DYNAMIC || type == DYNAMIC_SYMBOLS) {
        long start = sections.getLong(at + 24);
        ByteBuffer table = read(start, Math.toIntExact(sections.getLong(at + 32)));
        if (type == DYNAMIC ? lookInsideFirst(table) : makeOrdinary(table)) {
          changes.put(start, table);
        }
      }
    }
  }

  /** Puts the flag into the first of the empty entries that linkers leave at the table's end; the last one has to stay. */
  private boolean lookInsideFirst(ByteBuffer table) throws IOException {
    for (int at = 0; at + ENTRY_BYTES < table.capacity(); at += ENTRY_BYTES) {
      if (table.getLong(at) == DT_SYMBOLIC) {
        return false;
      }
      if (table.getLong(at) == DT_NULL) {
        table.putLong(at, DT_SYMBOLIC);
        return true;
      }
    }
    throw new IOException("no room in the dynamic table of " + library);
  }

  private static boolean makeOrdinary(ByteBuffer table) {
    boolean changed = false;
    for (int at = 4; at < table.capacity(); at += SYMBOL_BYTES) {
      int info = table.get(at) & 0xff;
      if (info >> 4 == UNIQUE) {
        table.put(at, (byte) (WEAK << 4 | info & 0xf));
        changed = true;
      }
    }
    return changed;
  }

  /** Puts a changed copy in the file's place: another process may be loading it right now. */
  private void replace() throws IOException {
    Path copy = Files.createTempFile(library.toAbsolutePath().getParent(), "kbridge", ".tmp");
    try {
      Files.copy(library, copy, StandardCopyOption.REPLACE_EXISTING);
      try (FileChannel target = FileChannel.open(copy, StandardOpenOption.WRITE)) {
        for (Map.Entry<Long, ByteBuffer> change : changes.entrySet()) {
          ByteBuffer table = change.getValue().rewind();
          while (table.hasRemaining()) {
            target.write(table, change.getKey() + table.position());
          }
        }
      }
      Files.setLastModifiedTime(copy, Files.getLastModifiedTime(library));
      Files.move(copy, library, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(copy);
    }
  }

  private ByteBuffer read(long from, int bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      if (file.read(buffer, from + buffer.position()) < 0) {
        throw new IOException(library + " ends within its tables");
      }
    }
    return buffer;
  }
}
