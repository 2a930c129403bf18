package io.kbridge.graph;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.nd4j.linalg.api.buffer.DataType;

/** The element types of a bundle: Keras's name, ND4J's type, and the size of one element. */
public enum ElementType {
  /** IEEE half precision. */
  FLOAT16("float16", DataType.FLOAT16, 2),
  /** IEEE single precision. */
  FLOAT32("float32", DataType.FLOAT, 4),
  /** IEEE double precision. */
  FLOAT64("float64", DataType.DOUBLE, 8),
  /** Signed 8-bit integer. */
  INT8("int8", DataType.INT8, 1),
  /** Signed 16-bit integer. */
  INT16("int16", DataType.INT16, 2),
  /** Signed 32-bit integer. */
  INT32("int32", DataType.INT32, 4),
  /** Signed 64-bit integer. */
  INT64("int64", DataType.INT64, 8),
  /** Unsigned 8-bit integer. */
  UINT8("uint8", DataType.UINT8, 1),
  /** Unsigned 16-bit integer. */
  UINT16("uint16", DataType.UINT16, 2),
  /** Unsigned 32-bit integer. */
  UINT32("uint32", DataType.UINT32, 4),
  /** Unsigned 64-bit integer. */
  UINT64("uint64", DataType.UINT64, 8),
  /** Boolean, stored as one byte, 0 or 1. */
  BOOL("bool", DataType.BOOL, 1),
  /** The upper half of a float32; stored as uint16. */
  BFLOAT16("bfloat16", DataType.BFLOAT16, 2);

  private static final Map<String, ElementType> BY_NAME = new HashMap<>();
  private static final Map<DataType, ElementType> BY_TYPE = new HashMap<>();

  static {
    for (ElementType type : values()) {
      BY_NAME.put(type.kerasName, type);
      BY_TYPE.put(type.dataType, type);
    }
  }

  private final String kerasName;
  private final DataType dataType;
  private final int bytes;

  ElementType(String kerasName, DataType dataType, int bytes) {
    this.kerasName = kerasName;
    this.dataType = dataType;
    this.bytes = bytes;
  }

  /**
   * Returns the name Keras and the bundle use, such as {@code float32}.
   *
   * @return the name
   */
  public String kerasName() {
    return kerasName;
  }

  /**
   * Returns ND4J's type.
   *
   * @return the type
   */
  public DataType dataType() {
    return dataType;
  }

  /**
   * Returns the size of one element.
   *
   * @return bytes
   */
  public int bytes() {
    return bytes;
  }

  /**
   * Finds a type by Keras's name.
   *
   * @param kerasName such as {@code float32}
   * @return the type, or null if there is none of that name
   */
  public static ElementType ofName(String kerasName) {
    return BY_NAME.get(kerasName);
  }

  /**
   * Returns all of Keras's names.
   *
   * @return the names, in the order of this enum
   */
  public static List<String> names() {
    List<String> names = new ArrayList<>();
    for (ElementType type : values()) {
      names.add(type.kerasName);
    }
    return names;
  }

  /**
   * Finds a type by ND4J's.
   *
   * @param dataType ND4J's type
   * @return the type, or null if bundles have none like it
   */
  public static ElementType of(DataType dataType) {
    return BY_TYPE.get(dataType);
  }
}
