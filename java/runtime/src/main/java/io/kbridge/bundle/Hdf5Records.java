package io.kbridge.bundle;

import io.kbridge.graph.ElementType;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** The byte sequences that HDF5 files are described by; numbers in the names of the HDF5 File Format Specification, version 3. */
final class Hdf5Records {
  static final int SUPERBLOCK_BYTES = 48;

  static final int DATASPACE = 0x01;
  static final int LINK_INFO = 0x02;
  static final int DATATYPE = 0x03;
  static final int FILL_VALUE = 0x05;
  static final int LINK = 0x06;
  static final int LAYOUT = 0x08;
  static final int GROUP_INFO = 0x0a;
  static final int ATTRIBUTE = 0x0c;

  private static final long UNDEFINED = -1;

  private Hdf5Records() {}

  static ByteBuffer buffer(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  static byte[] superblock(long endOfFile, long root) {
    ByteBuffer block = buffer(SUPERBLOCK_BYTES);
    block.put(new byte[] {(byte) 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n', 2, 8, 8, 0});
    block.putLong(0).putLong(UNDEFINED).putLong(endOfFile).putLong(root);
    return checked(block);
  }

  /** An object header in one piece. */
  static byte[] header(List<byte[]> messages) {
    int bytes = messages.stream().mapToInt(message -> message.length).sum();
    ByteBuffer header = buffer(10 + bytes + 4);
    header.put("OHDR".getBytes(StandardCharsets.US_ASCII)).put((byte) 2).put((byte) 2).putInt(bytes);
    messages.forEach(header::put);
    return checked(header);
  }

  static byte[] message(int type, byte[] content) {
    if (content.length > 0xffff) {
      throw new IllegalArgumentException("a header message of " + content.length + " bytes");
    }
    return buffer(4 + content.length).put((byte) type).putShort((short) content.length).put((byte) 0).put(content).array();
  }

  /** All links of a group are in its header. */
  static byte[] noLinkTables() {
    return buffer(18).putShort((short) 0).putLong(UNDEFINED).putLong(UNDEFINED).array();
  }

  static byte[] link(String name, long address) {
    byte[] text = name.getBytes(StandardCharsets.UTF_8);
    // NB: flags: the length of the name takes two bytes; a character set is given, UTF-8.
    ByteBuffer link = buffer(5 + text.length + 8).put((byte) 1).put((byte) 0x11).put((byte) 1);
    return link.putShort((short) text.length).put(text).putLong(address).array();
  }

  static byte[] space(long... shape) {
    ByteBuffer space = buffer(4 + 8 * shape.length);
    space.put((byte) 2).put((byte) shape.length).put((byte) 0).put((byte) (shape.length == 0 ? 0 : 1));
    for (long size : shape) {
      space.putLong(size);
    }
    return space.array();
  }

  static byte[] layout(long address, long bytes) {
    return buffer(18).put((byte) 3).put((byte) 1).putLong(address).putLong(bytes).array();
  }

  /** A number type as stored: bool and bfloat16 as the unsigned integers of their size. */
  static byte[] type(ElementType type) {
    int bits = 8 * type.bytes();
    switch (type) {
      case FLOAT16:
        return floating(bits, 10, 5);
      case FLOAT32:
        return floating(bits, 23, 8);
      case FLOAT64:
        return floating(bits, 52, 11);
      default:
        boolean signed = type.kerasName().startsWith("int");
        ByteBuffer integer = buffer(12).put((byte) 0x10).put((byte) (signed ? 8 : 0)).putShort((short) 0);
        return integer.putInt(bits / 8).putShort((short) 0).putShort((short) bits).array();
    }
  }

  private static byte[] floating(int bits, int mantissa, int exponent) {
    // NB: little-endian, the mantissa's highest bit is implied.
    ByteBuffer type = buffer(20).put((byte) 0x11).put((byte) 0x20).put((byte) (bits - 1)).put((byte) 0).putInt(bits / 8);
    type.putShort((short) 0).putShort((short) bits).put((byte) mantissa).put((byte) exponent).put((byte) 0).put((byte) mantissa);
    return type.putInt((1 << (exponent - 1)) - 1).array();
  }

  static byte[] join(byte[]... parts) {
    ByteArrayOutputStream joined = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      joined.write(part, 0, part.length);
    }
    return joined.toByteArray();
  }

  /** Puts the checksum into the last four bytes. */
  private static byte[] checked(ByteBuffer record) {
    record.putInt(checksum(record.array(), record.capacity() - 4));
    return record.array();
  }

  /** Bob Jenkins's {@code lookup3} of bytes, with an initial value of 0. */
  static int checksum(byte[] bytes, int length) {
    int a = 0xdeadbeef + length;
    int b = a;
    int c = a;
    int at = 0;
    for (; length - at > 12; at += 12) {
      a += word(bytes, at, length);
      b += word(bytes, at + 4, length);
      c += word(bytes, at + 8, length);
      a = (a - c) ^ Integer.rotateLeft(c, 4);
      c += b;
      b = (b - a) ^ Integer.rotateLeft(a, 6);
      a += c;
      c = (c - b) ^ Integer.rotateLeft(b, 8);
      b += a;
      a = (a - c) ^ Integer.rotateLeft(c, 16);
      c += b;
      b = (b - a) ^ Integer.rotateLeft(a, 19);
      a += c;
      c = (c - b) ^ Integer.rotateLeft(b, 4);
      b += a;
    }
    if (at == length) {
      return c;
    }
    a += word(bytes, at, length);
    b += word(bytes, at + 4, length);
    c += word(bytes, at + 8, length);
    c = (c ^ b) - Integer.rotateLeft(b, 14);
    a = (a ^ c) - Integer.rotateLeft(c, 11);
    b = (b ^ a) - Integer.rotateLeft(a, 25);
    c = (c ^ b) - Integer.rotateLeft(b, 16);
    a = (a ^ c) - Integer.rotateLeft(c, 4);
    b = (b ^ a) - Integer.rotateLeft(a, 14);
    return (c ^ b) - Integer.rotateLeft(b, 24);
  }

  /** Four bytes as a number; those past the end are 0. */
  private static int word(byte[] bytes, int at, int length) {
    int word = 0;
    for (int i = Math.min(4, length - at) - 1; i >= 0; i--) {
      word = word << 8 | bytes[at + i] & 0xff;
    }
    return word;
  }
}
