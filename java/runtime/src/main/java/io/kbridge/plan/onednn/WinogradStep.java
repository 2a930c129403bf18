package io.kbridge.plan.onednn;

import io.kbridge.plan.Step;
import io.kbridge.plan.machine.Jobs;
import io.kbridge.plan.machine.PanelProduct;
import java.util.List;
import org.bytedeco.dnnl.memory;

/** Runs Winograd's algorithm: the transform of images, products, the transform to the result. */
final class WinogradStep implements Step {
  private final Tiles tiles;
  private final List<PanelProduct> products;
  private final List<Jobs> jobs;
  private final memory kernels;

  /**
   * Puts the parts together.
   *
   * @param tiles how images are cut
   * @param products all products
   * @param jobs what threads do, one after the other
   * @param kernels the kernels of all positions, wherever they lie when the step runs
   */
  WinogradStep(Tiles tiles, List<PanelProduct> products, List<Jobs> jobs, memory kernels) {
    this.tiles = tiles;
    this.products = products;
    this.jobs = jobs;
    this.kernels = kernels;
  }

  @Override
  public void run() {
    long start = kernels.get_data_handle().address();
    for (PanelProduct product : products) {
      product.place(start);
    }
    for (Jobs some : jobs) {
      some.run();
    }
  }

  @Override
  public String implementation() {
    return "machine code, " + tiles.form();
  }
}
