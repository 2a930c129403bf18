package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC_1;
import static org.bytedeco.dnnl.global.dnnl.algorithm;
import static org.bytedeco.dnnl.global.dnnl.scratchpad_mode;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.OpContext;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.post_ops;
import org.bytedeco.dnnl.primitive_attr;
import org.nd4j.linalg.api.ndarray.INDArray;

/** What a primitive does with its result before it writes it: functions, sums, and operations with other arrays. */
final class PostOps {
  // oneDNN takes 32 of them; one link and a rounding add a few.
  private static final int MANY = 26;

  private final Site site;
  private final Layout layout;
  private final boolean inPlace;
  private final post_ops ops;
  private final List<Operand> operands = new ArrayList<>();
  private String summed;

  private PostOps(Site site, Layout layout, boolean inPlace) {
    this.site = site;
    this.layout = layout;
    this.inPlace = inPlace;
    this.ops = site.session().own(new post_ops());
  }

  /**
   * Collects links of a chain.
   *
   * @param site the chain
   * @param layout the layout of the result
   * @param first the first link to collect
   * @param inPlace whether an addition may be computed into the memory of the array that is added
   * @return the operations, or null if a link has no such form
   */
  static PostOps of(Site site, Layout layout, int first, boolean inPlace) {
    return of(site, layout, first, inPlace, null);
  }

  /** Collects links as above, after adding what is shifted per channel before them. */
  static PostOps of(Site site, Layout layout, int first, boolean inPlace, Affine affine) {
    PostOps post = new PostOps(site, layout, inPlace);
    if (affine != null && affine.shifts()) {
      post.addVector(algorithm.binary_add, site.key(first) + " shift " + layout.channels(), affine.shift());
    }
    List<GraphNode> links = site.chain().links();
    for (int i = first; i < links.size(); i++) {
      if (post.ops.len() > MANY || !post.add(links.get(i), site.chain().before(i))) {
        return null;
      }
    }
    return post;
  }

  /** Does nothing with the result. */
  static PostOps none(Site site) {
    return new PostOps(site, null, false);
  }

  /** Applies one function to the result. */
  static PostOps of(Site site, Eltwise function) {
    PostOps post = none(site);
    post.append(function);
    return post;
  }

  /** Makes the attributes of a primitive that uses these operations and scratch memory from the plan. */
  primitive_attr attr() {
    primitive_attr attr = site.session().own(new primitive_attr());
    attr.set_post_ops(ops);
    attr.set_scratchpad_mode(scratchpad_mode.user);
    return attr;
  }

  /** Tells whether there is nothing to do with the result. */
  boolean isEmpty() {
    return ops.len() == 0;
  }

  /** Tells whether operations read arrays or vectors beside the result. */
  boolean reads() {
    return !operands.isEmpty();
  }

  /** Returns the value whose memory the result is added to, or null. */
  String summed() {
    return summed;
  }

  /** Gives the arrays that the operations read. */
  void bind(OpContext context, Call call) {
    operands.forEach(operand -> operand.bind(call, context));
  }

  private boolean add(GraphNode node, String through) {
    List<Eltwise> functions = Eltwise.of(node);
    if (functions != null) {
      functions.forEach(this::append);
      return true;
    }
    if (node.op().equals("BatchNorm")) {
      return addAffine(node, through);
    }
    if (Binary.of(node) == null) {
      return false;
    }
    String other = Binary.beside(node, through);
    INDArray array = site.array(other);
    Layout own = layout.stored(site.session().numbers(other));
    memory.desc desc = own.desc(array.shape());
    if (desc == null) {
      return false;
    }
    algorithm function = Binary.of(node);
    boolean full = array.length() == io.kbridge.plan.NativeArrays.length(layout.shape());
    if (inPlace && summed == null && full && function == algorithm.binary_add && mayBeWritten(other)) {
      summed = other;
      ops.append_sum();
      return true;
    }
    operands.add(new Operand(ops.len(), other, array, null, own));
    ops.append_binary(function, site.session().own(desc));
    return true;
  }

  private boolean mayBeWritten(String value) {
    boolean readOnce = site.chain().members().stream().filter(node -> node.inputs().contains(value)).count() == 1;
    // NB: the result too, or the primitive writes to other memory, from which the result is put in order (Call.write).
    return readOnce && site.isLastUse(value) && liesAsWritten(value) && liesAsWritten(site.result());
  }

  /** Tells whether a value lies in the order and the type in which the primitive writes. */
  private boolean liesAsWritten(String value) {
    return site.session().isBlocked(value) == layout.reorders(layout.shape()) && site.session().numbers(value).isLike(layout.numbers());
  }

  private boolean addAffine(GraphNode node, String through) {
    Affine affine = new Affine(layout.channels());
    if (!affine.absorb(node, through, site, layout)) {
      return false;
    }
    addVector(algorithm.binary_mul, node.name() + " scale", affine.scale());
    addVector(algorithm.binary_add, node.name() + " shift", affine.shift());
    return true;
  }

  /** Lets the result be stored as it is to be stored. */
  PostOps rounded() {
    if (layout.numbers().isSmall()) {
      ops.append_eltwise(1f, algorithm.eltwise_linear, (float) (1 / layout.numbers().step()), 0);
    }
    return this;
  }

  /** Adds an operation with one number per channel. */
  void addVector(algorithm function, String key, float[] numbers) {
    long[] dims = layout.dims();
    java.util.Arrays.fill(dims, 1);
    dims[Math.min(1, dims.length - 1)] = numbers.length;
    memory.desc desc = site.session().own(OneDnn.plain(dims));
    operands.add(new Operand(ops.len(), null, null, site.weights().numbers(key, desc, () -> numbers), null));
    ops.append_binary(function, desc);
  }

  private void append(Eltwise function) {
    ops.append_eltwise(1f, function.function(), function.alpha(), function.beta());
  }

  /** An array that an operation reads: of the plan, or of the model. */
  private final class Operand {
    private final int at;
    private final String value;
    private final INDArray array;
    private final memory constant;
    private final Layout own;

    Operand(int at, String value, INDArray array, memory constant, Layout own) {
      this.at = at;
      this.value = value;
      this.array = array;
      this.constant = constant;
      this.own = own;
    }

    void bind(Call call, OpContext context) {
      int argument = DNNL_ARG_ATTR_MULTIPLE_POST_OP_BASE * (at + 1) | DNNL_ARG_SRC_1;
      if (array == null) {
        call.arg(argument, constant);
      } else {
        call.read(context, site, argument, own, value, array);
      }
    }
  }
}
