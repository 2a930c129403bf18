package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.algorithm;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Step;
import io.kbridge.plan.Threads;
import io.kbridge.plan.machine.Cut;
import io.kbridge.plan.machine.Jobs;
import io.kbridge.plan.machine.PanelDivision;
import io.kbridge.plan.machine.PanelProduct;
import io.kbridge.plan.machine.PanelShape;
import java.util.List;
import org.bytedeco.dnnl.memory;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.ShortPointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A convolution of single pixels with a large kernel, by machine code of ours: while it computes with one part of the kernel it asks for the next. oneDNN's code
 * reads a part for some pixels first and has it in the cache for the others, so that memory and processor wait for each other: 7x7x2048 to 512 takes 0.25 ms on
 * two cores instead of 0.21. What follows may be a sum with another array, and a ReLU.
 */
final class Panels {
  // NB: from the columns of one panel to those of the next is a distance that an instruction has to have room for.
  private static final long MOST_PIXELS = Integer.MAX_VALUE / (PanelShape.WIDTH * PanelShape.VECTOR * Float.BYTES);
  // NB: a kernel that comes from memory is on its way while threads compute. What another thread has read or written takes longer, above all where processors
  // share no cache: 14x14x256 to 1024 takes 0.214 ms on two cores by rows, and 0.219 by panels while they do, 0.27 to 0.29 while they do not.
  private static final long MOST_READ_TWICE = 2L << 20;
  // NB: rows are read again for each panel, so they have to stay in the second cache, beside a panel: 392 rows of 512 numbers by 512 columns take 0.80 ms on one
  // core in two bands, and at once 0.81 to 0.89, as the machine pleases.
  private static final long MOST_BYTES_OF_ROWS = 512L << 10;
  // NB: with many threads there are fewer panels, or blocks of rows, than threads. oneDNN divides products along both.
  private static final double UNEVEN = 1.5;

  private final Site site;
  private final INDArray x;
  private final INDArray w;
  private final Affine affine;
  private final PostOps post;
  private final Layout from;
  private final Layout to;
  private final String added;
  private final PanelProduct product;

  private Panels(Site site, INDArray x, INDArray w, Affine affine, PostOps post, Layout from, Layout to, PanelProduct product) {
    this.site = site;
    this.x = x;
    this.w = w;
    this.affine = affine;
    this.post = post;
    this.from = from;
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
   * @param from the layout of the images, with the numbers that are multiplied
   * @param to the layout of the result
   * @return what compiles it, or null if oneDNN has to compute it
   */
  static OpMapping lower(Site site, INDArray x, INDArray w, Window window, Affine affine, Layout from, Layout to) {
    if (!suits(site, x, w, window, from, to) || !Jobs.isPossible() || !OneDnn.hasWideVectors() || !finishes(site, affine.links(), to)) {
      return null;
    }
    PostOps post = PostOps.of(site, to, affine.links(), true);
    PanelProduct product = post == null ? null : product(site, w, window, affine, from, to);
    return product == null ? null : new Panels(site, x, w, affine, post, from, to, product)::compile;
  }

  private static boolean suits(Site site, INDArray x, INDArray w, Window window, Layout from, Layout to) {
    boolean whole = w.rank() == 4 && w.size(2) == x.size(3) && w.size(2) % PanelShape.VECTOR == 0 && w.size(3) % PanelShape.VECTOR == 0;
    boolean stored = site.session().numbers(site.chain().source()) == from.numbers() && site.session().numbers(site.result()) == to.numbers();
    boolean near = Math.max(from.pixels(), to.pixels()) <= MOST_PIXELS;
    return whole && stored && near && site.isConstant(1) && window.channelsLast() && w.size(0) * w.size(1) == 1 && !window.isPadded()
        && w.length() * bytes(from) >= site.session().leastPanels();
  }

  private static long bytes(Layout from) {
    return from.numbers() == Numbers.HALF ? Short.BYTES : Float.BYTES;
  }

  private static PanelProduct product(Site site, INDArray w, Window window, Affine affine, Layout from, Layout to) {
    String added = added(site, affine.links());
    Pixels pixels = new Pixels(from, to, window.strides());
    Cut cut = cut(site, affine.links());
    int vectors = Math.toIntExact(w.size(3) / PanelShape.VECTOR);
    long[][] blocks = pixels.blocks();
    long blockBytes = NativeArrays.length(to.shape()) / w.size(3) * w.size(2) * bytes(from) / blocks.length;
    int most = Math.toIntExact(Math.max(1, MOST_BYTES_OF_ROWS / blockBytes));
    PanelDivision division = new PanelDivision(vectors, blocks, pixels.largeBlocks(), Threads.allowed(), readsKernelOnce(w, from, to), most);
    return division.unevenness() > UNEVEN ? null : new PanelProduct(pixels.shape(added != null, cut), division, 1, affine.shift());
  }

  /** Tells whether no two threads should read the same part of a kernel, but all of them all pixels. */
  private static boolean readsKernelOnce(INDArray w, Layout from, Layout to) {
    long pixels = NativeArrays.length(from.shape());
    long all = pixels + NativeArrays.length(to.shape());
    return w.length() > pixels && (w.length() * bytes(from) > MOST_READ_TWICE || w.length() > 2 * all);
  }

  /** Returns the array that is added, or null. */
  private static String added(Site site, int first) {
    List<GraphNode> links = site.chain().links();
    boolean sums = first < links.size() && Binary.of(links.get(first)) == algorithm.binary_add;
    return sums ? Binary.beside(links.get(first), site.chain().before(first)) : null;
  }

  /** Tells whether what follows is nothing, the sum with an array that lies as the result does, a ReLU (or one that is cut above as well), or both. */
  private static boolean finishes(Site site, int first, Layout to) {
    String added = added(site, first);
    if (added != null && !liesAlike(site, added, to)) {
      return false;
    }
    return cut(site, first) != null;
  }

  /** Returns what is done with sums; null if it is something else. */
  private static Cut cut(Site site, int first) {
    return Cuts.of(site, first + (added(site, first) == null ? 0 : 1), site.chain().links().size());
  }

  private static boolean liesAlike(Site site, String value, Layout to) {
    boolean whole = site.array(value).length() == NativeArrays.length(to.shape());
    return whole && site.isBlocked(value) == to.isBlocked() && site.session().numbers(value) == to.numbers();
  }

  private Step compile(OpContext context) {
    INDArray z = Results.place(context, site, to, post);
    INDArray other = added == null ? z : site.array(added);
    product.bind(NativeArrays.address(x), 0, NativeArrays.address(other), NativeArrays.address(z), 0);
    Jobs jobs = new Jobs(Threads.allowed());
    product.addTo(jobs, 0);
    return new PanelStep(product, jobs, kernel());
  }

  private memory kernel() {
    boolean half = from.numbers() == Numbers.HALF;
    String scaled = site.head().inputs().get(1) + (affine.scales() ? " scaled " + site.key(affine.links()) : "");
    String key = scaled + (half ? " in bfloat16 panels" : " in panels");
    INDArray content = w;
    Affine factors = affine;
    long numbers = w.length() * bytes(from) / Float.BYTES;
    return site.weights().filled(key, site.session().own(OneDnn.plain(numbers)), into -> pack(factors.scaled(OneDnn.content(content)), content, half, into));
  }

  private static void pack(float[] scaled, INDArray content, boolean half, memory into) {
    int channels = Math.toIntExact(content.size(2));
    try (Pointer start = into.get_data_handle()) {
      if (half) {
        Panel.packHalf(scaled, channels, new ShortPointer(start).capacity(scaled.length).asBuffer());
      } else {
        Panel.pack(scaled, channels, new FloatPointer(start).capacity(scaled.length).asBuffer());
      }
    }
  }
}
