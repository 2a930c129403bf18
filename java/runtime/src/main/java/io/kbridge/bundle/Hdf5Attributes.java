package io.kbridge.bundle;

import io.kbridge.graph.ElementType;
import java.lang.reflect.Array;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;

/** Attributes of HDF5 objects as bytes, in the forms that h5py gives them. */
final class Hdf5Attributes {
  private static final int SMALLEST_HEAP = 4096;

  private Hdf5Attributes() {}

  /** An attribute whose value is in the header: a list of texts of one length, a number, or a list of numbers. */
  static byte[] plain(String name, Object value) {
    if (value == null) {
      // NB: what an empty list becomes in NumPy.
      return attribute(name, Hdf5Records.type(ElementType.FLOAT64), Hdf5Records.space(0), new byte[0]);
    }
    if (value instanceof String[]) {
      return texts(name, (String[]) value);
    }
    if (!value.getClass().isArray()) {
      return attribute(name, Hdf5Records.type(typeOf(value)), Hdf5Records.space(), number(value));
    }
    int count = Array.getLength(value);
    byte[][] numbers = new byte[count][];
    for (int i = 0; i < count; i++) {
      numbers[i] = number(Array.get(value, i));
    }
    ElementType type = count == 0 ? ElementType.FLOAT64 : typeOf(Array.get(value, 0));
    return attribute(name, Hdf5Records.type(type), Hdf5Records.space(count), Hdf5Records.join(numbers));
  }

  private static byte[] texts(String name, String[] texts) {
    byte[][] encoded = new byte[texts.length][];
    int longest = 1;
    for (int i = 0; i < texts.length; i++) {
      encoded[i] = texts[i].getBytes(StandardCharsets.UTF_8);
      longest = Math.max(longest, encoded[i].length);
    }
    ByteBuffer content = Hdf5Records.buffer(texts.length * longest);
    for (int i = 0; i < texts.length; i++) {
      content.position(i * longest);
      content.put(encoded[i]);
    }
    // NB: padded with zeros.
    byte[] type = Hdf5Records.buffer(8).put((byte) 0x13).put((byte) 1).putShort((short) 0).putInt(longest).array();
    return attribute(name, type, Hdf5Records.space(texts.length), content.array());
  }

  /** An attribute that is one text, which lies alone in a heap. */
  static byte[] text(String name, String value, long heap) {
    byte[] base = Hdf5Records.type(ElementType.UINT8);
    // NB: of variable length, a string, in UTF-8; an element is a length, the heap's address and a number in it.
    byte[] type = Hdf5Records.buffer(8).put((byte) 0x19).put((byte) 1).put((byte) 1).put((byte) 0).putInt(16).array();
    int length = value.getBytes(StandardCharsets.UTF_8).length;
    byte[] content = Hdf5Records.buffer(16).putInt(length).putLong(length == 0 ? 0 : heap).putInt(length == 0 ? 0 : 1).array();
    return attribute(name, Hdf5Records.join(type, base), Hdf5Records.space(), content);
  }

  /** The heap of one text. */
  static byte[] heap(String value) {
    byte[] text = value.getBytes(StandardCharsets.UTF_8);
    int padded = (text.length + 7) / 8 * 8;
    int free = Math.max(16, SMALLEST_HEAP - 32 - padded);
    ByteBuffer heap = Hdf5Records.buffer(32 + padded + free);
    heap.put("GCOL".getBytes(StandardCharsets.US_ASCII)).putInt(1).putLong(heap.capacity());
    heap.putShort((short) 1).putShort((short) 1).putInt(0).putLong(text.length).put(text);
    heap.position(32 + padded);
    heap.putShort((short) 0).putShort((short) 0).putInt(0).putLong(free);
    return heap.array();
  }

  private static byte[] attribute(String name, byte[] type, byte[] space, byte[] content) {
    byte[] text = name.getBytes(StandardCharsets.UTF_8);
    ByteBuffer head = Hdf5Records.buffer(9 + text.length + 1).put((byte) 3).put((byte) 0);
    head.putShort((short) (text.length + 1)).putShort((short) type.length).putShort((short) space.length).put((byte) 1).put(text);
    return Hdf5Records.join(head.array(), type, space, content);
  }

  private static ElementType typeOf(Object number) {
    if (number instanceof Double) {
      return ElementType.FLOAT64;
    }
    if (number instanceof Float) {
      return ElementType.FLOAT32;
    }
    return ElementType.INT64;
  }

  private static byte[] number(Object number) {
    if (number instanceof Double) {
      return Hdf5Records.buffer(8).putDouble((Double) number).array();
    }
    if (number instanceof Float) {
      return Hdf5Records.buffer(4).putFloat((Float) number).array();
    }
    if (number instanceof Number) {
      return Hdf5Records.buffer(8).putLong(((Number) number).longValue()).array();
    }
    throw new IllegalArgumentException("an attribute of " + number.getClass());
  }
}
