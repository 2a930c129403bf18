package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.algorithm;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Step;
import io.kbridge.plan.Threads;
import io.kbridge.plan.machine.Jobs;
import io.kbridge.plan.machine.PanelDivision;
import io.kbridge.plan.machine.PanelProduct;
import io.kbridge.plan.machine.PanelShape;
import java.util.List;
import org.bytedeco.dnnl.memory;
import org.bytedeco.javacpp.FloatPointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A convolution of single pixels with a large kernel, by machine code of ours: while it computes with one part of the kernel it asks for the next. oneDNN's code
 * reads a part for some pixels first and has it in the cache for the others, so that memory and processor wait for each other: 7x7x2048 to 512 takes 0.25 ms on
 * two cores instead of 0.21. What follows may be a sum with another array, and a ReLU.
 */
final class Panels {
  // NB: of a kernel that is not in the caches. Smaller ones take as long either way.
  private static final long LARGE = 1L << 19;

  private final Site site;
  private final INDArray x;
  private final INDArray w;
  private final Affine affine;
  private final PostOps post;
  private final Layout to;
  private final String added;
  private final PanelProduct product;

  private Panels(Site site, INDArray x, INDArray w, Affine affine, PostOps post, Layout to, PanelProduct product) {
    this.site = site;
    this.x = x;
    this.w = w;
    this.affine = affine;
    this.post = post;
    this.to = to;
    this.added = added(site, affine.links());
    this.product = product;
  }

  /**
   * Finds the product.
   *
   * @param site the chain of a convolution
   * @param x the images
   * @param w the kernel
   * @param window where it lies
   * @param affine what goes into the kernel and the shift
   * @param to the layout of the result
   * @return what compiles it, or null if oneDNN has to compute it
   */
  static OpMapping lower(Site site, INDArray x, INDArray w, Window window, Affine affine, Layout to) {
    if (!suits(site, x, w, window) || !Jobs.isPossible() || !OneDnn.hasWideVectors() || !finishes(site, affine.links(), to)) {
      return null;
    }
    PostOps post = PostOps.of(site, to, affine.links(), true);
    PanelProduct product = post == null ? null : product(site, x, w, window, affine, to);
    return product == null ? null : new Panels(site, x, w, affine, post, to, product)::compile;
  }

  private static boolean suits(Site site, INDArray x, INDArray w, Window window) {
    boolean full = site.session().numbers(site.chain().source()) == Numbers.FLOAT && site.session().numbers(site.result()) == Numbers.FLOAT;
    boolean whole = full && w.rank() == 4 && w.size(2) == x.size(3) && w.size(2) % PanelShape.VECTOR == 0 && w.size(3) % PanelShape.VECTOR == 0;
    return whole && site.isConstant(1) && window.channelsLast() && w.size(0) * w.size(1) == 1 && !window.isPadded() && w.length() * Float.BYTES >= LARGE;
  }

  private static PanelProduct product(Site site, INDArray x, INDArray w, Window window, Affine affine, Layout to) {
    String added = added(site, affine.links());
    boolean blockedIn = site.isBlocked(site.chain().source());
    Pixels pixels = new Pixels(x.shape(), blockedIn, to.shape(), site.isBlocked(site.result()), window.strides());
    boolean cuts = site.chain().links().size() > affine.links() + (added == null ? 0 : 1);
    int vectors = Math.toIntExact(w.size(3) / PanelShape.VECTOR);
    // NB: what is more to read is not read by all threads.
    PanelDivision division = new PanelDivision(vectors, pixels.blocks(), pixels.largeBlocks(), Threads.allowed(), w.length() > x.length());
    return PanelProduct.of(pixels.shape(added != null, cuts), division, 1, affine.shift());
  }

  /** Returns the array that is added, or null. */
  private static String added(Site site, int first) {
    List<GraphNode> links = site.chain().links();
    boolean sums = first < links.size() && Binary.of(links.get(first)) == algorithm.binary_add;
    return sums ? Binary.beside(links.get(first), site.chain().before(first)) : null;
  }

  /** Tells whether what follows is nothing, the sum with an array that lies as the result does, a ReLU, or both. */
  private static boolean finishes(Site site, int first, Layout to) {
    List<GraphNode> links = site.chain().links();
    String added = added(site, first);
    if (added != null && (site.isBlocked(added) != site.isBlocked(site.result()) || site.array(added).length() != NativeArrays.length(to.shape()))) {
      return false;
    }
    int rest = links.size() - first - (added == null ? 0 : 1);
    return rest == 0 || rest == 1 && cuts(links.get(links.size() - 1));
  }

  private static boolean cuts(GraphNode node) {
    List<Eltwise> found = Eltwise.of(node);
    return found != null && found.size() == 1 && found.get(0).function() == algorithm.eltwise_relu && found.get(0).alpha() == 0;
  }

  private Step compile(OpContext context) {
    INDArray z = Results.place(context, site, to, post);
    INDArray other = added == null ? z : site.array(added);
    product.bind(NativeArrays.address(x), 0, NativeArrays.address(other), NativeArrays.address(z), 0);
    Jobs jobs = Jobs.of(Threads.allowed());
    product.addTo(jobs, 0);
    return new PanelStep(product, jobs, kernel());
  }

  private memory kernel() {
    String key = site.head().inputs().get(1) + " scaled " + site.key(affine.links()) + " in panels";
    INDArray content = w;
    Affine factors = affine;
    return site.weights().filled(key, site.session().own(OneDnn.plain(w.length())), into -> pack(factors.scaled(OneDnn.content(content)), content, into));
  }

  private static void pack(float[] scaled, INDArray content, memory into) {
    try (FloatPointer start = new FloatPointer(into.get_data_handle())) {
      Panel.pack(scaled, Math.toIntExact(content.size(2)), start.capacity(scaled.length).asBuffer());
    }
  }
}
