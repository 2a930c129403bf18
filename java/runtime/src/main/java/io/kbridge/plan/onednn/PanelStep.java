package io.kbridge.plan.onednn;

import io.kbridge.plan.Step;
import io.kbridge.plan.machine.Jobs;
import io.kbridge.plan.machine.PanelProduct;
import org.bytedeco.dnnl.memory;

/** Runs a product by panels. */
final class PanelStep implements Step {
  private final PanelProduct product;
  private final Jobs jobs;
  private final memory kernel;

  /**
   * Takes what is ready.
   *
   * @param product the product
   * @param jobs who computes what of it
   * @param kernel its second factor, wherever it lies when the step runs
   */
  PanelStep(PanelProduct product, Jobs jobs, memory kernel) {
    this.product = product;
    this.jobs = jobs;
    this.kernel = kernel;
  }

  @Override
  public void run() {
    product.place(kernel.get_data_handle().address());
    jobs.run();
  }

  @Override
  public String implementation() {
    return "machine code, panels";
  }
}
