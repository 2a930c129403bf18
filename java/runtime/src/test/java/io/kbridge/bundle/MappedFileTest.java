package io.kbridge.bundle;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;

import io.kbridge.graph.ElementType;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class MappedFileTest {
  @Rule public final TemporaryFolder folder = new TemporaryFolder();

  private static StoredArray floats(long address, long count) {
    return new StoredArray("/x", address, 4 * count, new long[] {count}, ElementType.FLOAT32);
  }

  private Path file(byte[] content) throws IOException {
    return Files.write(folder.newFile().toPath(), content);
  }

  @Test
  public void copiesOnlyWhatIsNotAligned() throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putFloat(8, 1.5f).putFloat(12, 2.5f).putFloat(21, 3.5f).putFloat(25, 4.5f);
    Path path = file(bytes.array());
    MappedFile mapped = new MappedFile(path, 64);
    Pointer aligned = mapped.pointer(floats(8, 2), 4);
    Pointer copied = mapped.pointer(floats(21, 2), 4);
    assertEquals(2.5f, new FloatPointer(aligned).get(1), 0);
    assertEquals(4.5f, new FloatPointer(copied).get(1), 0);
    assertEquals(0, copied.address() % 4);
    bytes.putFloat(12, 9).putFloat(25, 9);
    try (RandomAccessFile raw = new RandomAccessFile(path.toFile(), "rw")) {
      raw.write(bytes.array());
    }
    assertEquals("mapped", 9f, new FloatPointer(aligned).get(1), 0);
    assertEquals("copied", 4.5f, new FloatPointer(copied).get(1), 0);
  }

  @Test
  public void readsArraysThatNoOneMappingHolds() throws IOException {
    long size = (5L << 29) + 12;
    Path path = folder.newFile().toPath();
    // NB: the file has holes where nothing is written, so it takes no room on the disk.
    try (RandomAccessFile raw = new RandomAccessFile(path.toFile(), "rw")) {
      raw.setLength(size);
      raw.seek(size - 4);
      raw.write(new byte[] {1, 2, 3, 4});
      raw.seek((1L << 30) + 4);
      raw.write(new byte[] {5, 6, 7, 8});
    }
    MappedFile mapped = new MappedFile(path, size);
    StoredArray all = new StoredArray("/x", 4, size - 4, new long[] {size - 4}, ElementType.UINT8);
    List<ByteBuffer> pieces = mapped.pieces(all);
    assertEquals(3, pieces.size());
    assertEquals(size - 4, pieces.stream().mapToLong(ByteBuffer::capacity).sum());
    assertEquals(5, pieces.get(1).get(0));
    byte[] last = new byte[4];
    new BytePointer(mapped.pointer(floats(size - 12, 3), 4)).position(8).get(last);
    assertArrayEquals(new byte[] {1, 2, 3, 4}, last);
  }
}
