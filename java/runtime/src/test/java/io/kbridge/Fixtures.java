package io.kbridge;

import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.function.Consumer;
import org.junit.function.ThrowingRunnable;

/** Copies of the good bundle, whole or damaged in one way. */
public final class Fixtures {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final byte[] SPEC_START = "{\"schema_version\":".getBytes(StandardCharsets.UTF_8);
  private static final byte[] SPEC_END = " \"}".getBytes(StandardCharsets.UTF_8);

  private Fixtures() {}

  /** Returns the bytes of a bundle of the test resources. */
  public static byte[] bytes(String name) {
    try (InputStream in = Fixtures.class.getResourceAsStream("/io/kbridge/bundles/" + name)) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Writes bytes to a file. */
  public static Path write(Path file, byte[] bytes) {
    try {
      return Files.write(file, bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Writes the good bundle to a file. */
  public static Path good(Path file) {
    return write(file, bytes("good.h5"));
  }

  /** Writes the good bundle with another spec, and with the digest of that spec. */
  public static Path withSpec(Path file, Consumer<ObjectNode> edit) {
    byte[] bytes = bytes("good.h5");
    int start = find(bytes, SPEC_START, 0);
    int end = find(bytes, SPEC_END, start) + SPEC_END.length;
    byte[] old = Arrays.copyOfRange(bytes, start, end);
    try {
      ObjectNode spec = (ObjectNode) JSON.readTree(old);
      edit.accept(spec);
      spec.put("_slack", "");
      int slack = old.length - JSON.writeValueAsBytes(spec).length;
      assertTrue("the edit needs more than the slack of the spec", slack >= 0);
      spec.put("_slack", " ".repeat(slack));
      byte[] now = JSON.writeValueAsBytes(spec);
      System.arraycopy(now, 0, bytes, start, now.length);
      replace(bytes, sha256(old), sha256(now));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return write(file, bytes);
  }

  /** Replaces the one occurrence of a text by another of the same length. */
  public static void replace(byte[] bytes, String from, String to) {
    byte[] pattern = from.getBytes(StandardCharsets.UTF_8);
    byte[] with = to.getBytes(StandardCharsets.UTF_8);
    assertTrue(pattern.length == with.length);
    int at = find(bytes, pattern, 0);
    System.arraycopy(with, 0, bytes, at, with.length);
  }

  /** Finds some bytes, which must be there. */
  public static int find(byte[] bytes, byte[] pattern, int from) {
    for (int i = from; i + pattern.length <= bytes.length; i++) {
      if (Arrays.equals(bytes, i, i + pattern.length, pattern, 0, pattern.length)) {
        return i;
      }
    }
    throw new AssertionError("not found: " + new String(pattern, StandardCharsets.UTF_8));
  }

  /** Checks that something fails with a code, and with a message that says what was expected and received and has some parts. */
  public static KBridgeException assertFails(ErrorCode code, ThrowingRunnable action, String... parts) {
    KBridgeException error = assertThrows(KBridgeException.class, action);
    String message = error.getMessage();
    assertTrue(error.code() + " instead of " + code + ": " + message, error.code() == code);
    assertTrue(message, message.startsWith("Expected ") && message.contains("Received: "));
    for (String part : parts) {
      assertTrue("no '" + part + "' in: " + message, message.contains(part));
    }
    return error;
  }

  private static String sha256(byte[] bytes) {
    try {
      StringBuilder hex = new StringBuilder();
      for (byte b : MessageDigest.getInstance("SHA-256").digest(bytes)) {
        hex.append(String.format("%02x", b));
      }
      return hex.toString();
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }
}
