package io.kbridge.bundle;

import io.jhdf.HdfFile;
import io.jhdf.api.Attribute;
import io.jhdf.api.Dataset;
import io.jhdf.api.Group;
import io.jhdf.api.Node;
import io.jhdf.api.dataset.ContiguousDataset;
import io.jhdf.object.datatype.DataType;
import io.jhdf.object.datatype.FixedPoint;
import io.jhdf.object.datatype.FloatingPoint;
import io.jhdf.object.datatype.OrderedDataType;
import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ElementType;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Collections;
import java.util.Deque;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;

/**
 * The table of contents of a bundle: every dataset with its place in the file, and the attributes of everything below
 * {@code /kbridge}. Making one walks the whole file and refuses what a bundle must not have. Nothing but metadata is read, and
 * no array is allocated for a size the file only claims.
 */
final class Hdf5Index {
  private static final byte[] SIGNATURE = {(byte) 0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
  private static final String ROOT = "/kbridge";

  private final Path file;
  private final long fileBytes;
  private final Map<String, StoredArray> arrays = new HashMap<>();
  private final Map<String, Object> attributes = new HashMap<>();
  private final Set<Long> seenGroups = new HashSet<>();

  private Hdf5Index(Path file, long fileBytes) {
    this.file = file;
    this.fileBytes = fileBytes;
  }

  static Hdf5Index read(Path file) {
    requireHdf5(file);
    try (HdfFile hdf = new HdfFile(file)) {
      Hdf5Index index = new Hdf5Index(file, Files.size(file));
      index.requireBundle(hdf);
      index.walk(hdf);
      return index;
    } catch (KBridgeException e) {
      throw e;
    } catch (RuntimeException | IOException | StackOverflowError | OutOfMemoryError e) {
      // NB: what jHDF throws on a hostile file is any of these: endless structures overflow the stack, false sizes ask for too much.
      throw new KBridgeException(
          ErrorCode.BUNDLE_FORMAT,
          "Expected a whole HDF5 file with nothing but groups and plain datasets. Received: '" + file
              + "', which cannot be read (" + rootOf(e) + "). It is truncated, damaged, or has storage a bundle must not"
              + " have, such as external or virtual datasets: export the model again.",
          e);
    }
  }

  long fileBytes() {
    return fileBytes;
  }

  /** Returns a dataset, or null if there is none at the path. */
  StoredArray array(String path) {
    return arrays.get(path);
  }

  /** Returns the paths of all datasets. */
  Set<String> paths() {
    return Collections.unmodifiableSet(arrays.keySet());
  }

  /** Returns an attribute of an object below {@code /kbridge}, or null. */
  Object attribute(String path, String name) {
    return attributes.get(path + "@" + name);
  }

  private static void requireHdf5(Path file) {
    if (!Files.isRegularFile(file) || !Files.isReadable(file)) {
      String what = Files.isDirectory(file) ? "a folder" : Files.exists(file) ? "not a readable file" : "nothing there";
      throw new KBridgeException(
          ErrorCode.BUNDLE_NOT_FOUND,
          "Expected a bundle at '" + file + "'. Received: " + what + ". Check the path, or make a bundle with"
              + " kbridge.export(model, path).");
    }
    byte[] head;
    try (InputStream in = Files.newInputStream(file)) {
      head = in.readNBytes(SIGNATURE.length);
    } catch (IOException e) {
      throw new KBridgeException(
          ErrorCode.BUNDLE_NOT_FOUND,
          "Expected to read the bundle '" + file + "'. Received: " + e + ". Check the file and its permissions.",
          e);
    }
    if (!Arrays.equals(head, SIGNATURE)) {
      throw new KBridgeException(
          ErrorCode.BUNDLE_FORMAT,
          "Expected an HDF5 file (first bytes 89 48 44 46). Received: '" + file
              + "', which is of another kind. Make a bundle with kbridge.export(model, path).");
    }
  }

  private void requireBundle(HdfFile hdf) {
    Node node = hdf.getChildren().get("kbridge");
    if (node == null || node.isLink() || !node.isGroup()) {
      throw bad(
          "the group '/kbridge' of a bundle", "an HDF5 file without it",
          "If it is a Keras model, make a bundle of it with kbridge.export(path, target).");
    }
  }

  private void walk(HdfFile hdf) {
    Deque<Map.Entry<String, Group>> open = new ArrayDeque<>();
    open.push(Map.entry("", hdf));
    while (!open.isEmpty()) {
      Map.Entry<String, Group> entry = open.pop();
      if (!seenGroups.add(entry.getValue().getAddress())) {
        throw refuse(entry.getKey(), "a group that is reached by two paths");
      }
      for (Map.Entry<String, Node> child : entry.getValue().getChildren().entrySet()) {
        String path = entry.getKey() + "/" + child.getKey();
        Node node = child.getValue();
        // NB: ask isLink first; any other question makes jHDF follow an external link.
        if (node.isLink()) {
          throw refuse(path, "a soft or external link");
        }
        if (node instanceof Dataset) {
          arrays.put(path, describe(path, (Dataset) node, hdf.getUserBlockSize()));
        } else if (node instanceof Group) {
          open.push(Map.entry(path, (Group) node));
        } else {
          throw refuse(path, "a " + node.getType());
        }
        if (path.equals(ROOT) || path.startsWith(ROOT + "/")) {
          readAttributes(path, node);
        }
      }
    }
  }

  private void readAttributes(String path, Node node) {
    for (Attribute attribute : node.getAttributes().values()) {
      if (attribute.getSizeInBytes() > fileBytes) {
        throw refuse(path, "an attribute larger than the file");
      }
      attributes.put(path + "@" + attribute.getName(), attribute.getData());
    }
  }

  private StoredArray describe(String path, Dataset dataset, long userBlock) {
    if (!(dataset instanceof ContiguousDataset)) {
      throw refuse(path, "a dataset that is chunked, compressed or compact");
    }
    ElementType storage = storageOf(path, dataset.getDataType());
    long[] shape = dataset.getDimensionsAsLong();
    long bytes = sizeOf(path, shape, storage);
    long address = ((ContiguousDataset) dataset).getDataAddress();
    if (bytes == 0) {
      return new StoredArray(path, 0, 0, shape, storage);
    }
    long start = address + userBlock;
    if (address < 0 || start < 0 || start > fileBytes || bytes > fileBytes - start) {
      throw bad(
          "the " + bytes + " bytes that dataset '" + path + "' declares to be in the file",
          address < 0 ? "no stored data" : "a file of " + fileBytes + " bytes with the data to start at " + start,
          "The file is truncated or damaged, or stores data outside itself: export the model again.");
    }
    return new StoredArray(path, start, bytes, shape, storage);
  }

  private long sizeOf(String path, long[] shape, ElementType storage) {
    try {
      long bytes = storage.bytes();
      boolean negative = false;
      for (long size : shape) {
        negative |= size < 0;
        bytes = Math.multiplyExact(bytes, size);
      }
      if (!negative) {
        return bytes;
      }
    } catch (ArithmeticException e) {
      throw refuse(path, "a dataset of more bytes than can be counted", e);
    }
    throw refuse(path, "a dataset with a negative size");
  }

  private ElementType storageOf(String path, DataType type) {
    ElementType storage = null;
    int size = type.getSize();
    if (type instanceof FixedPoint) {
      FixedPoint fixed = (FixedPoint) type;
      if (fixed.getBitOffset() == 0 && fixed.getBitPrecision() == 8 * size) {
        storage = ElementType.ofName((fixed.isSigned() ? "int" : "uint") + 8 * size);
      }
    } else if (type instanceof FloatingPoint && isIeee((FloatingPoint) type)) {
      storage = ElementType.ofName("float" + 8 * size);
    }
    if (storage == null) {
      throw refuse(path, "elements of kind " + type.getClass().getSimpleName() + " of " + size + " bytes");
    }
    if (size > 1 && ((OrderedDataType) type).getByteOrder() != ByteOrder.LITTLE_ENDIAN) {
      throw refuse(path, "a dataset in big-endian byte order");
    }
    return storage;
  }

  private static boolean isIeee(FloatingPoint type) {
    int mantissa = type.getSize() == 2 ? 10 : type.getSize() == 4 ? 23 : 52;
    int exponent = 8 * type.getSize() - 1 - mantissa;
    return type.getBitOffset() == 0
        && type.getBitPrecision() == 8 * type.getSize()
        && type.getMantissaSize() == mantissa
        && type.getExponentSize() == exponent
        && type.getExponentBias() == (1 << (exponent - 1)) - 1;
  }

  private KBridgeException refuse(String path, String what) {
    return refuse(path, what, null);
  }

  private KBridgeException refuse(String path, String what, Throwable cause) {
    return new KBridgeException(
        ErrorCode.BUNDLE_FORMAT,
        "Expected only groups and contiguous little-endian number datasets in '" + file + "'. Received: " + what + " at '"
            + path + "'. A bundle must not have that: export the model again, and distrust this file.",
        cause);
  }

  private KBridgeException bad(String expected, String received, String remedy) {
    return new KBridgeException(
        ErrorCode.BUNDLE_FORMAT,
        "Expected " + expected + " in '" + file + "'. Received: " + received + ". " + remedy);
  }

  private static String rootOf(Throwable error) {
    Throwable root = error;
    for (int i = 0; root.getCause() != null && i < 32; i++) {
      root = root.getCause();
    }
    return root.getClass().getSimpleName() + (root.getMessage() == null ? "" : ": " + root.getMessage());
  }
}
