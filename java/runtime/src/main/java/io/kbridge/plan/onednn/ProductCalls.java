package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_BIAS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;
import static org.bytedeco.dnnl.global.dnnl.scratchpad_mode;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.Step;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.function.Supplier;
import org.bytedeco.dnnl.inner_product_forward;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.post_ops;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A cell's products for some samples: the sequence's for many steps at once, then the states' at each step, added to them. */
final class ProductCalls {
  private final OneDnnSession session;
  private final Products products;
  private final int rows;
  private final int chunk;
  private final int width;
  private final inner_product_forward.primitive_desc projecting;
  private final inner_product_forward.primitive_desc stepping;
  private Step projection;
  private Step[] steps;
  private FloatBuffer result;
  private long address;

  /**
   * Finds the primitives.
   *
   * @param session owns everything native
   * @param products what is to be computed
   * @param rows for how many samples
   * @param chunk for how many steps at once, of the sequence
   */
  ProductCalls(OneDnnSession session, Products products, int rows, int chunk) {
    this.session = session;
    this.products = products;
    this.rows = rows;
    this.chunk = chunk;
    this.width = products.width();
    boolean steps = products.source() != null;
    Eltwise function = products.function();
    this.projecting =
        products.hasKernel() ? find(chunk * rows, products.inner(), products.hasBias(), false, steps ? null : function) : null;
    this.stepping =
        steps
            ? find(rows, products.source().width(), products.hasBias() && !products.hasKernel(), products.hasKernel(), function)
            : null;
  }

  /** Returns what computes some products. */
  static ProductCalls of(Products products, List<ProductCalls> calls) {
    return calls.stream().filter(call -> call.products == products).findFirst().orElseThrow();
  }

  /** Tells whether oneDNN has fast code for all of it. */
  boolean isFound() {
    return (projecting != null || !products.hasKernel()) && (stepping != null || products.source() == null);
  }

  Products products() {
    return products;
  }

  /** Names the code that runs at each step. */
  String implementation() {
    return OneDnn.implementation(stepping == null ? projecting : stepping);
  }

  private inner_product_forward.primitive_desc find(int count, int inner, boolean hasBias, boolean sums, Eltwise function) {
    post_ops ops = session.own(new post_ops());
    if (sums) {
      ops.append_sum();
    }
    if (function != null) {
      ops.append_eltwise(1f, function.function(), function.alpha(), function.beta());
    }
    primitive_attr attr = session.own(new primitive_attr());
    attr.set_post_ops(ops);
    attr.set_scratchpad_mode(scratchpad_mode.user);
    memory.desc from = session.own(OneDnn.plain(count, inner));
    memory.desc matrix = session.own(OneDnn.any(width, inner));
    memory.desc to = session.own(OneDnn.plain(count, width));
    prop_kind kind = prop_kind.forward_inference;
    inner_product_forward.primitive_desc found =
        OneDnn.ask(
            () -> new inner_product_forward.primitive_desc(
                hasBias
                    ? new inner_product_forward.desc(kind, from, matrix, session.own(OneDnn.plain(width)), to)
                    : new inner_product_forward.desc(kind, from, matrix, to),
                attr,
                OneDnn.cpu()));
    return found == null ? null : session.own(found);
  }

  /**
   * Gives the primitives their memory.
   *
   * @param context gives it
   * @param name names the products, for weights that plans share
   * @param sequence where the sequence is for the steps at hand, or null
   * @param source where what is multiplied at each step is, or null
   */
  void allocate(OpContext context, String name, memory sequence, INDArray source) {
    INDArray z = context.scratch(DataType.FLOAT, projecting == null ? rows : (long) chunk * rows, width);
    result = buffer(z);
    address = NativeArrays.address(z);
    BytePointer start = session.own(new BytePointer(NativeArrays.borrowed(z)));
    if (projecting != null) {
      memory target = session.own(new memory(session.own(OneDnn.plain((long) chunk * rows, width)), OneDnn.cpu(), start));
      Call call = new Call(session, projecting, new inner_product_forward(projecting));
      call.arg(DNNL_ARG_SRC, sequence).arg(DNNL_ARG_DST, target);
      call.arg(DNNL_ARG_WEIGHTS, matrix(projecting, name + " kernel", products.inner(), products::kernel));
      projection = bias(call, name).scratch(context, projecting).step();
    }
    if (stepping != null) {
      inner_product_forward primitive = session.own(new inner_product_forward(stepping));
      memory matrix = matrix(stepping, name + " recurrent", products.source().width(), products::recurrent);
      // NB: one for each step of a chunk, because to tell a primitive of another address takes as long as a small product.
      steps = new Step[projecting == null ? 1 : chunk];
      for (int i = 0; i < steps.length; i++) {
        BytePointer target = session.own(new BytePointer(start).position((long) i * rows * width * Float.BYTES));
        steps[i] = step(context, name, primitive, matrix, source, target);
      }
    }
  }

  private Step step(
      OpContext context, String name, inner_product_forward primitive, memory matrix, INDArray source, BytePointer target) {
    Call call = new Call(session, stepping, primitive).arg(DNNL_ARG_WEIGHTS, matrix);
    call.arg(DNNL_ARG_SRC, session.own(OneDnn.plain(rows, products.source().width())), source);
    call.arg(DNNL_ARG_DST, session.own(new memory(session.own(OneDnn.plain(rows, width)), OneDnn.cpu(), target)));
    return (projecting == null ? bias(call, name) : call).scratch(context, stepping).step();
  }

  private Call bias(Call call, String name) {
    return products.hasBias()
        ? call.arg(DNNL_ARG_BIAS, session.weights().numbers(name + " bias", session.own(OneDnn.plain(width)), products::bias))
        : call;
  }

  private memory matrix(inner_product_forward.primitive_desc found, String key, int inner, Supplier<float[]> content) {
    memory.desc wanted = session.own(found.weights_desc());
    memory.desc given = session.own(OneDnn.strided(new long[] {width, inner}, new long[] {1, width}));
    return session.weights().packed(key, wanted, given, () -> new FloatPointer(content.get()));
  }

  /** Computes what depends on the sequence alone, for as many steps as there is memory for. */
  void project() {
    if (projection != null) {
      projection.run();
    }
  }

  /**
   * Does the rest of the work of one step.
   *
   * @param slot which of the steps that the sequence was multiplied for
   */
  void run(int slot) {
    if (steps != null) {
      steps[projection == null ? 0 : slot].run();
    }
  }

  /** Returns where the first row of the results is, of the first step that there is memory for. */
  long address() {
    return address;
  }

  /** Returns how many bytes there are from the results of a step to those of the next. */
  long stepBytes() {
    return projecting == null ? 0 : (long) rows * width * Float.BYTES;
  }

  /** Prepares a step whose results are copied to registers. */
  Runnable bind(LaneArrays lane) {
    List<Register> results = products.results();
    float[][] targets = results.stream().map(lane::numbers).toArray(float[][]::new);
    int[] widths = results.stream().mapToInt(Register::width).toArray();
    return () -> {
      run(lane.slot());
      load(projection == null ? 0 : lane.slot() * rows * width, targets, widths);
    };
  }

  private void load(int start, float[][] targets, int[] widths) {
    if (targets.length == 1) {
      result.position(start);
      result.get(targets[0]);
      return;
    }
    result.position(start);
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < targets.length; i++) {
        result.get(targets[i], row * widths[i], widths[i]);
      }
    }
  }

  /** Lets Java read and write an array's memory. */
  static FloatBuffer buffer(INDArray array) {
    return new FloatPointer(NativeArrays.borrowed(array)).capacity(array.length()).asBuffer();
  }
}
