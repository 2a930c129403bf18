package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_FROM;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_TO;

import io.kbridge.plan.Step;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.dnnl.reorder;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A copy from one layout to another. */
final class Reorder {
  private Reorder() {}

  /**
   * Makes the step.
   *
   * @param session owns everything native
   * @param given the layout of the first array
   * @param from the first array
   * @param wanted the layout of the second array
   * @param to the second array
   * @return the step
   */
  static Step of(OneDnnSession session, memory.desc given, INDArray from, memory.desc wanted, INDArray to) {
    return of(session, given, from, wanted, to, 1);
  }

  /** Makes the step that also multiplies by a factor. */
  static Step of(OneDnnSession session, memory.desc given, INDArray from, memory.desc wanted, INDArray to, double factor) {
    primitive_attr attr = session.own(new primitive_attr());
    if (factor != 1) {
      attr.set_output_scales(0, new float[] {(float) factor});
    }
    reorder.primitive_desc found = session.own(new reorder.primitive_desc(OneDnn.cpu(), given, OneDnn.cpu(), wanted, attr, false));
    return new Call(session, found, new reorder(found)).arg(DNNL_ARG_FROM, given, from).arg(DNNL_ARG_TO, wanted, to).step();
  }
}
