package io.kbridge.bundle;

import io.kbridge.ErrorCode;
import io.kbridge.KBridgeException;
import io.kbridge.graph.ArrayEntry;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/** Compares content with the digests the bundle states. */
final class Digests {
  private static final char[] HEX = "0123456789abcdef".toCharArray();

  private Digests() {}

  /** Checks weights and constants, all of them before it throws; the cores share the work. */
  static void verify(Path file, MappedFile mapped, Map<ArrayEntry, StoredArray> arrays) {
    List<String> wrong =
        arrays.entrySet().parallelStream()
            .map(entry -> difference(entry.getKey(), of(mapped.pieces(entry.getValue()))))
            .filter(text -> !text.isEmpty())
            .collect(Collectors.toList());
    if (!wrong.isEmpty()) {
      throw mismatch(file, String.join("; ", wrong), "other content");
    }
  }

  /** Checks one document. */
  static void verify(Path file, String path, Object stated, List<ByteBuffer> pieces) {
    String actual = of(pieces);
    if (!actual.equals(stated)) {
      throw mismatch(file, "'" + path + "' with SHA-256 " + stated, actual);
    }
  }

  private static String difference(ArrayEntry entry, String actual) {
    if (actual.equals(entry.sha256())) {
      return "";
    }
    return "'" + entry.value().name() + "' with SHA-256 " + entry.sha256() + " (received " + actual + ")";
  }

  /** Computes a digest. */
  static String of(List<ByteBuffer> pieces) {
    MessageDigest digest;
    try {
      digest = MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      // NB: every Java platform must have SHA-256.
      throw new KBridgeException(ErrorCode.INTERNAL, "Expected a JVM with SHA-256. Received: " + e + ". Use another.", e);
    }
    pieces.forEach(piece -> digest.update(piece.duplicate()));
    StringBuilder hex = new StringBuilder();
    for (byte b : digest.digest()) {
      hex.append(HEX[(b >> 4) & 15]).append(HEX[b & 15]);
    }
    return hex.toString();
  }

  private static KBridgeException mismatch(Path file, String expected, String received) {
    return new KBridgeException(
        ErrorCode.DIGEST_MISMATCH,
        "Expected in '" + file + "': " + expected + ". Received: " + received
            + ". The file was changed after it was written: export the model again or copy it once more.");
  }
}
