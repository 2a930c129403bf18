package io.kbridge;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** What a model computes on, as {@link LoadOptions#device()} says it. */
final class Device {
  private static final Pattern NAME = Pattern.compile("(auto|cpu)|gpu(?::(\\d{1,4}))?");

  private final String name;
  private final String kind;
  private final int index;

  private Device(String name, String kind, int index) {
    this.name = name;
    this.kind = kind;
    this.index = index;
  }

  static Device parse(String name) {
    Matcher matcher = NAME.matcher(name);
    if (!matcher.matches()) {
      throw new KBridgeException(
          ErrorCode.INVALID_INPUT,
          "Expected option device to be one of 'auto', 'cpu', 'gpu', or a GPU by its number as in 'gpu:1'. Received: '" + name
              + "'. Choose one of them.");
    }
    String number = matcher.group(2);
    return new Device(name, matcher.group(1) == null ? "gpu" : matcher.group(1), number == null ? 0 : Integer.parseInt(number));
  }

  /** Tells whether nothing but the CPU will do. */
  boolean isCpu() {
    return kind.equals("cpu");
  }

  /** Tells whether nothing but a GPU will do. */
  boolean isGpu() {
    return kind.equals("gpu");
  }

  /** Returns the number of the GPU; 0 where none was named. */
  int index() {
    return index;
  }

  @Override
  public String toString() {
    return name;
  }
}
