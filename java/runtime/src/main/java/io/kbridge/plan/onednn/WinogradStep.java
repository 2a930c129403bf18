package io.kbridge.plan.onednn;

import io.kbridge.plan.Step;

/** Runs Winograd's algorithm: the transform of images, products, the transform to the result. */
final class WinogradStep implements Step {
  private final WinogradTransform transform;
  private final Step products;

  WinogradStep(WinogradTransform transform, Step products) {
    this.transform = transform;
    this.products = products;
  }

  @Override
  public void run() {
    transform.spread();
    products.run();
    transform.gather();
  }

  @Override
  public String implementation() {
    return products.implementation() + ", Winograd 4x3";
  }
}
