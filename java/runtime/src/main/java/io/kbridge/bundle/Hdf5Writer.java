package io.kbridge.bundle;

import io.kbridge.graph.ElementType;
import java.io.Closeable;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Writes an HDF5 file of groups, contiguous datasets and small attributes: superblock 2, object headers 2, links and attributes in the headers.
 * Content is written as it comes, what describes it at the end.
 */
final class Hdf5Writer implements Closeable {
  // NB: a cache line and the widest vector register, as the exporter has it.
  private static final int ALIGNMENT = 64;

  private final FileChannel channel;
  private final Group root = new Group();
  private long end = Hdf5Records.SUPERBLOCK_BYTES;

  /** A group, or with a description a dataset. */
  private static final class Group {
    private final Map<String, Group> members = new TreeMap<>();
    private final Map<String, Object> attributes = new LinkedHashMap<>();
    private byte[][] description;
  }

  Hdf5Writer(Path file) throws IOException {
    channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
  }

  /** Writes a dataset. */
  void dataset(String path, ElementType storage, long[] shape, List<ByteBuffer> content) throws IOException {
    long bytes = content.stream().mapToLong(ByteBuffer::remaining).sum();
    long start = -1;
    if (bytes > 0) {
      start = aligned(ALIGNMENT);
      for (ByteBuffer piece : content) {
        write(piece.duplicate());
      }
    }
    Group dataset = at(path);
    dataset.description =
        new byte[][] {
          Hdf5Records.message(Hdf5Records.DATASPACE, Hdf5Records.space(shape)),
          Hdf5Records.message(Hdf5Records.DATATYPE, Hdf5Records.type(storage)),
          Hdf5Records.message(Hdf5Records.FILL_VALUE, new byte[] {3, 0x0a}),
          Hdf5Records.message(Hdf5Records.LAYOUT, Hdf5Records.layout(start, bytes))
        };
  }

  /** Makes a group, if it is not there. */
  void group(String path) {
    at(path);
  }

  /** Sets an attribute of a group or dataset: a text, a list of texts, or numbers. */
  void attribute(String path, String name, Object value) {
    at(path).attributes.put(name, value);
  }

  /** Writes what describes the content, and waits until the disk has everything. */
  void finish() throws IOException {
    long top = describe(root);
    ByteBuffer superblock = ByteBuffer.wrap(Hdf5Records.superblock(end, top));
    while (superblock.hasRemaining()) {
      channel.write(superblock, superblock.position());
    }
    channel.force(true);
  }

  @Override
  public void close() throws IOException {
    channel.close();
  }

  private Group at(String path) {
    Group found = root;
    for (String name : path.split("/")) {
      if (!name.isEmpty()) {
        found = found.members.computeIfAbsent(name, key -> new Group());
      }
    }
    return found;
  }

  /** Writes the header of an object after those of its members; returns its address. */
  private long describe(Group object) throws IOException {
    List<byte[]> messages = new ArrayList<>();
    if (object.description == null) {
      messages.add(Hdf5Records.message(Hdf5Records.LINK_INFO, Hdf5Records.noLinkTables()));
      messages.add(Hdf5Records.message(Hdf5Records.GROUP_INFO, new byte[2]));
      for (Map.Entry<String, Group> member : object.members.entrySet()) {
        messages.add(Hdf5Records.message(Hdf5Records.LINK, Hdf5Records.link(member.getKey(), describe(member.getValue()))));
      }
    } else {
      messages.addAll(List.of(object.description));
    }
    for (Map.Entry<String, Object> attribute : object.attributes.entrySet()) {
      messages.add(Hdf5Records.message(Hdf5Records.ATTRIBUTE, attribute(attribute.getKey(), attribute.getValue())));
    }
    long address = aligned(8);
    write(ByteBuffer.wrap(Hdf5Records.header(messages)));
    return address;
  }

  private byte[] attribute(String name, Object value) throws IOException {
    if (!(value instanceof String)) {
      return Hdf5Attributes.plain(name, value);
    }
    // NB: a text may be too long for a header; as Python writes it, it lies in a heap of its own.
    long heap = aligned(8);
    write(ByteBuffer.wrap(Hdf5Attributes.heap((String) value)));
    return Hdf5Attributes.text(name, (String) value, heap);
  }

  private long aligned(int bytes) throws IOException {
    int gap = (int) (-end & (bytes - 1));
    write(ByteBuffer.allocate(gap));
    return end;
  }

  private void write(ByteBuffer content) throws IOException {
    while (content.hasRemaining()) {
      end += channel.write(content, end);
    }
  }
}
