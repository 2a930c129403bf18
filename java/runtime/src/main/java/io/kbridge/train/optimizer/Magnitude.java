package io.kbridge.train.optimizer;

/** What an optimizer takes of gradients besides themselves; of a gradient in rows, each row by itself. */
public enum Magnitude {
  /** Nothing. */
  NONE,
  /** Their squares. */
  SQUARES,
  /** Their absolute values. */
  SIZES;

  /** Computes the magnitudes of a block of gradients. */
  void of(float[] g, float[] into, int n) {
    if (this == SQUARES) {
      for (int i = 0; i < n; i++) {
        into[i] = g[i] * g[i];
      }
    } else if (this == SIZES) {
      for (int i = 0; i < n; i++) {
        into[i] = Math.abs(g[i]);
      }
    }
  }
}
