package io.kbridge.plan.machine;

import com.sun.jna.Pointer;
import java.util.ArrayList;
import java.util.List;

/** Numbers that code reads from where its arguments are, each there once. Not thread safe. */
final class Constants {
  private final int start;
  private final List<Float> numbers = new ArrayList<>();

  /**
   * Starts without any.
   *
   * @param start the offset of the first one
   */
  Constants(int start) {
    this.start = start;
  }

  /** Returns the offset of a number. */
  int offset(double number) {
    float rounded = (float) number;
    if (!numbers.contains(rounded)) {
      numbers.add(rounded);
    }
    return start + numbers.indexOf(rounded) * Float.BYTES;
  }

  /** Returns where they end. */
  int end() {
    return start + (numbers.size() + 1) / 2 * 2 * Float.BYTES;
  }

  /** Writes them where code reads them. */
  void write(Pointer arguments) {
    for (int i = 0; i < numbers.size(); i++) {
      arguments.setFloat(start + (long) i * Float.BYTES, numbers.get(i));
    }
  }
}
