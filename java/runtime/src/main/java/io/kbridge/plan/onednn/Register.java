package io.kbridge.plan.onednn;

/** A row of numbers for each sample, while one step of a recurrent layer is computed. */
final class Register {
  private final int width;

  Register(int width) {
    this.width = width;
  }

  int width() {
    return width;
  }
}
