package io.kbridge.plan.onednn;

import io.kbridge.plan.Step;
import java.util.List;

/** Runs Winograd's algorithm: the transform of images, products, the transform to the result. */
final class WinogradStep implements Step {
  private final Tiles tiles;
  private final WinogradTransform transform;
  private final Step[] products;
  private final String implementation;

  WinogradStep(Tiles tiles, WinogradTransform transform, List<Step> products, String implementation) {
    this.tiles = tiles;
    this.transform = transform;
    this.products = products.toArray(new Step[0]);
    this.implementation = implementation;
  }

  @Override
  public void run() {
    // NB: the last portion may have fewer tiles; behind them lie those of the one before, of which nobody reads the products.
    for (int row = 0; row < tiles.allRows(); row += tiles.portion()) {
      transform.spread(row);
      for (Step product : products) {
        product.run();
      }
      transform.gather(row);
    }
  }

  @Override
  public String implementation() {
    return implementation;
  }
}
