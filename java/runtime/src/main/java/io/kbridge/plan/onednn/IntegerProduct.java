package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Step;
import org.bytedeco.dnnl.inner_product_forward;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.dnnl.reorder;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Rows of 8-bit integers times one constant matrix of such, as layers have that Keras quantised: exact, added up in 32 bits. */
final class IntegerProduct {
  // NB: products of fewer terms than that cannot leave 32 bits, as in Keras.
  private static final long MOST_TERMS = Integer.MAX_VALUE / (128 * 128);

  private IntegerProduct() {}

  /** Tells whether a product is of this kind. */
  static boolean suits(Site site) {
    return site.isConstant(1) && site.hasInput(0) && isSmall(site.input(0)) && isSmall(site.input(1)) && site.chain().links().isEmpty()
        && site.context().outputType(0) == DataType.INT32 && OneDnn.hasInt8();
  }

  private static boolean isSmall(INDArray array) {
    return array.dataType() == DataType.INT8 && !array.isEmpty();
  }

  /**
   * Finds the primitive.
   *
   * @param site the product
   * @param shape the shape of the result
   * @param columnAxes how many of the last axes of the result are the matrix's
   * @return what compiles it, or null to decline
   */
  static OpMapping lower(Site site, long[] shape, int columnAxes) {
    long columns = Layout.rows(shape, columnAxes).dims()[1];
    long inner = site.input(1).length() / columns;
    long rows = site.input(0).length() / inner;
    OneDnnSession session = site.session();
    memory.desc from = session.own(OneDnn.strided(memory.data_type.s8, new long[] {rows, inner}, new long[] {inner, 1}));
    memory.desc matrix = session.own(OneDnn.any(memory.data_type.s8, columns, inner));
    memory.desc to = session.own(OneDnn.strided(memory.data_type.s32, new long[] {rows, columns}, new long[] {columns, 1}));
    primitive_attr attr = PostOps.none(site).attr();
    inner_product_forward.primitive_desc found =
        inner > MOST_TERMS
            ? null
            : OneDnn.ask(
                () ->
                    new inner_product_forward.primitive_desc(
                        new inner_product_forward.desc(prop_kind.forward_inference, from, matrix, to), attr, OneDnn.cpu()));
    if (found == null) {
      return null;
    }
    session.own(found);
    memory.desc wanted = session.own(found.weights_desc());
    memory.desc given = session.own(OneDnn.strided(memory.data_type.s8, new long[] {columns, inner}, new long[] {1, columns}));
    if (!canPack(given, wanted)) {
      return null;
    }
    return context -> compile(context, site, shape, found, new memory.desc[] {from, given, wanted, to});
  }

  /** Tells whether oneDNN can bring 8-bit weights into a layout. */
  static boolean canPack(memory.desc given, memory.desc wanted) {
    try (reorder.primitive_desc found = OneDnn.ask(() -> new reorder.primitive_desc(OneDnn.cpu(), given, OneDnn.cpu(), wanted))) {
      return found != null;
    }
  }

  private static Step compile(
      OpContext context, Site site, long[] shape, inner_product_forward.primitive_desc found, memory.desc[] layouts) {
    INDArray z = context.allocate(0, shape);
    INDArray w = site.input(1);
    Call call = new Call(site.session(), found, new inner_product_forward(found));
    call.arg(DNNL_ARG_SRC, layouts[0], site.input(0));
    call.arg(DNNL_ARG_WEIGHTS, site.weights().packed(site.head().inputs().get(1), layouts[2], layouts[1], () -> NativeArrays.borrowed(w)));
    call.arg(DNNL_ARG_DST, layouts[3], z);
    return call.scratch(context, found).step();
  }
}
