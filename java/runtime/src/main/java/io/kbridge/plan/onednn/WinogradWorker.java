package io.kbridge.plan.onednn;

import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;

/** What one thread needs for its part of Winograd's algorithm. */
final class WinogradWorker {
  private final Tiles tiles;
  private final WinogradTransform transform;
  private final WinogradProducts products;
  private final BytePointer own;

  /**
   * Puts the parts together.
   *
   * @param tiles how images are cut
   * @param transform the transforms
   * @param products one for each position of a tile
   * @param own the thread's memory
   */
  WinogradWorker(Tiles tiles, WinogradTransform transform, WinogradProducts products, BytePointer own) {
    this.tiles = tiles;
    this.transform = transform;
    this.products = products;
    this.own = own;
  }

  /** Writes the thread's memory. */
  void warm() {
    Pointer.memset(own, 0, own.capacity());
  }

  /** Computes a whole portion. */
  void run(int portion) {
    spread(portion, 0, 1);
    multiply(0, 1);
    gather(portion, 0, 1);
  }

  /** Transforms one of several parts of a portion of the images. */
  void spread(int portion, int part, int parts) {
    int count = rows(portion);
    transform.spread(portion * tiles.portion(), count * part / parts, count * (part + 1) / parts);
  }

  /** Computes one of several parts of the products. */
  void multiply(int part, int parts) {
    // NB: the last portion may have fewer tiles; behind them lie those of the one before, of which nobody reads the products.
    int count = tiles.form().positions();
    products.run(count * part / parts, count * (part + 1) / parts);
  }

  /** Transforms the products of one of several parts of a portion to the result. */
  void gather(int portion, int part, int parts) {
    int count = rows(portion);
    transform.gather(portion * tiles.portion(), count * part / parts, count * (part + 1) / parts);
  }

  private int rows(int portion) {
    return Math.min(tiles.portion(), tiles.allRows() - portion * tiles.portion());
  }
}
