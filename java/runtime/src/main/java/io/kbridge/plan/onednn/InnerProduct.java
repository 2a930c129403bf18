package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_BIAS;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.prop_kind;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Step;
import java.util.Arrays;
import org.bytedeco.dnnl.inner_product_forward;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Rows times one constant matrix: dense layers. What follows and is linear goes into the matrix and the bias. */
final class InnerProduct {
  // NB: with fewer columns, the product costs no more than putting its rows into bfloat16.
  private static final long WORTH_ROUNDING = 64;

  private final Site site;
  private final INDArray w;
  private final long inner;
  private final long columns;
  private final Layout from;
  private final Layout to;
  private final Affine affine;
  private final SmallKernel small;

  private InnerProduct(Site site, long[] shape, int columnAxes, int innerAxes, Numbers numbers) {
    this.site = site;
    this.w = site.input(1);
    this.from = Layout.rows(site.input(0).shape(), innerAxes).stored(numbers);
    this.inner = from.dims()[1];
    this.to = Layout.rows(shape, columnAxes).stored(numbers == Numbers.FLOAT ? numbers : site.session().numbers(site.result()));
    this.columns = to.dims()[1];
    this.affine = new Affine(columns).absorb(site, to);
    this.small = numbers.isSmall() ? new SmallKernel(site, w, affine, numbers) : null;
  }

  static void register() {
    Heads.chain("Matmul", InnerProduct::matmul);
  }

  private static OpMapping matmul(Site site) {
    INDArray x = site.input(0);
    INDArray w = site.input(1);
    if (x != null && w != null && x.rank() >= 2 && w.rank() == 2 && IntegerProduct.suits(site)) {
      return IntegerProduct.lower(site, product(x, w), 1);
    }
    if (!site.isFloat() || x.rank() < 1 || w.rank() < 1) {
      return null;
    }
    if (!site.isConstant(1) || x.rank() < 2 || w.rank() != 2 || !site.isFinite(1)) {
      return Product.matmul(site);
    }
    return lower(site, product(x, w), 1, 1);
  }

  private static long[] product(INDArray x, INDArray w) {
    long[] shape = Arrays.copyOf(x.shape(), x.rank());
    shape[shape.length - 1] = w.size(1);
    return shape;
  }

  /** {@code Einsum} that is a product with a constant matrix, each of whose sides may be several axes; null for others. */
  static OpMapping einsum(Site site, Labels a, Labels b, Labels z, long[] shape) {
    String summed = a.common(b, true, z, false);
    String rows = a.common(b, false, z, true);
    String columns = b.common(a, false, z, true);
    boolean fits =
        a.names().equals(rows + summed) && b.names().equals(summed + columns) && z.names().equals(rows + columns) && !columns.isEmpty();
    if (!fits || !site.isConstant(1)) {
      return null;
    }
    if (IntegerProduct.suits(site)) {
      return IntegerProduct.lower(site, shape, columns.length());
    }
    if (!site.isFloat() || !site.isFinite(1)) {
      return null;
    }
    return lower(site, shape, columns.length(), summed.length());
  }

  private static OpMapping lower(Site site, long[] shape, int columnAxes, int innerAxes) {
    InnerProduct full = new InnerProduct(site, shape, columnAxes, innerAxes, Numbers.FLOAT);
    boolean half = site.session().isBfloat16() && (site.session().isHalf(site.head().inputs().get(0)) || full.columns >= WORTH_ROUNDING);
    Numbers wanted = half ? Numbers.HALF : site.session().rounded(site.head());
    OpMapping rounded = wanted == null ? null : new InnerProduct(site, shape, columnAxes, innerAxes, wanted).lower();
    return rounded == null ? full.lower() : rounded;
  }

  private OpMapping lower() {
    OpMapping inPlace = lower(true);
    return inPlace == null ? lower(false) : inPlace;
  }

  private OpMapping lower(boolean inPlace) {
    PostOps post = PostOps.of(site, to, affine.links(), inPlace);
    if (post == null || inPlace && post.summed() == null) {
      return null;
    }
    memory.desc bias = affine.shifts() ? site.session().own(OneDnn.plain(columns)) : null;
    primitive_attr attr = post.rounded().attr();
    if (small != null) {
      small.scale(attr);
    }
    inner_product_forward.primitive_desc found = OneDnn.ask(() -> describe(attr, bias));
    if (found == null) {
      return null;
    }
    site.session().own(found);
    if (small != null && !IntegerProduct.canPack(whole(), site.session().own(found.weights_desc()))) {
      return null;
    }
    return context -> compile(context, found, post, bias);
  }

  private inner_product_forward.primitive_desc describe(primitive_attr attr, memory.desc bias) {
    memory.desc matrix = OneDnn.any(small == null ? from.numbers().type() : memory.data_type.s8, columns, inner);
    prop_kind kind = prop_kind.forward_inference;
    inner_product_forward.desc desc =
        bias == null
            ? new inner_product_forward.desc(kind, from.desc(), matrix, to.desc())
            : new inner_product_forward.desc(kind, from.desc(), matrix, bias, to.desc());
    return new inner_product_forward.primitive_desc(desc, attr, OneDnn.cpu());
  }

  private Step compile(OpContext context, inner_product_forward.primitive_desc found, PostOps post, memory.desc bias) {
    INDArray z = Results.place(context, site, to, post);
    Call call = new Call(site.session(), found, new inner_product_forward(found));
    call.read(context, site, DNNL_ARG_SRC, from, site.head().inputs().get(0), site.input(0));
    call.arg(DNNL_ARG_WEIGHTS, matrix(found));
    call.write(context, site, to, z);
    if (bias != null) {
      call.arg(DNNL_ARG_BIAS, site.weights().numbers(site.key(affine.links()) + " shift", bias, small == null ? affine::shift : small::bias));
    }
    post.bind(context, call);
    return call.scratch(context, found).step();
  }

  private memory matrix(inner_product_forward.primitive_desc found) {
    memory.desc wanted = site.session().own(found.weights_desc());
    memory.desc given = site.session().own(OneDnn.strided(new long[] {columns, inner}, new long[] {1, columns}));
    String key = site.head().inputs().get(1);
    if (small != null) {
      return site.weights().packed(site.key(affine.links()) + " in 8 bits", wanted, whole(), small.content());
    }
    return affine.scales()
        ? site.weights().packed(
            key + " scaled " + site.key(affine.links()), wanted, given, () -> new FloatPointer(affine.scaled(OneDnn.content(w))))
        : site.weights().packed(key, wanted, given, () -> NativeArrays.borrowed(w));
  }

  /** Describes the matrix in 8 bits as it is rounded, in the order of the model's. */
  private memory.desc whole() {
    return site.session().own(OneDnn.strided(memory.data_type.s8, new long[] {columns, inner}, new long[] {1, columns}));
  }
}
