package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SCRATCHPAD;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SRC;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_WEIGHTS;
import static org.bytedeco.dnnl.global.dnnl.algorithm;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Step;
import io.kbridge.plan.Team;
import io.kbridge.plan.Threads;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntFunction;
import java.util.function.LongFunction;
import org.bytedeco.dnnl.matmul;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A convolution by one form of Winograd's algorithm, of arrays whose channels lie last: transforms of images and results are loops in Java, what
 * lies between is products of matrices by oneDNN, 16 or 36 of them. oneDNN's own code for the algorithm wants channels in blocks. On one core it is
 * slower for small images, on several for large ones: it transforms an image as a whole, and writes what does not fit into the caches past them.
 */
final class Winograd {
  // NB: Java's buffers count in int.
  private static final long MOST_NUMBERS = 1L << 29;
  // NB: fewer take no time worth a trial.
  private static final long FEW_PRODUCTS = 1L << 19;
  // NB: on several threads, fewer take no longer by oneDNN's own code, and no trial that a first prediction would have to wait for.
  private static final long MANY_PRODUCTS = 1L << 26;

  private final Site site;
  private final INDArray w;
  private final Tiles tiles;
  private final Affine affine;
  private final matmul.primitive_desc product;

  private Winograd(Site site, INDArray w, Tiles tiles, Affine affine, matmul.primitive_desc product) {
    this.site = site;
    this.w = w;
    this.tiles = tiles;
    this.affine = affine;
    this.product = product;
  }

  /**
   * Finds the products, in all forms of the algorithm that fit.
   *
   * @param site the chain of a convolution with strides of one
   * @param x the images
   * @param w the kernel
   * @param window where it lies
   * @param affine what goes into the kernel and the shift
   * @return the ways to compute it, those with the largest tiles first; none if it has to be computed in another one
   */
  static List<Winograd> find(Site site, INDArray x, INDArray w, Window window, Affine affine) {
    List<Winograd> found = new ArrayList<>();
    boolean finishes = cuts(site, affine) || affine.links() == site.chain().links().size();
    if (Threads.allowed() > 1 && !Team.isThere() || !finishes || !OneDnn.hasWideVectors()) {
      return found;
    }
    for (WinogradForm form : site.session().forms()) {
      Winograd way = form.fits(window.sizes()) ? find(form, site, x, w, window, affine) : null;
      if (way != null) {
        found.add(way);
      }
    }
    return found;
  }

  private static Winograd find(WinogradForm form, Site site, INDArray x, INDArray w, Window window, Affine affine) {
    Tiles tiles = new Tiles(form, x.shape(), window.shape(x.size(0), w.size(3)), window.before(), Threads.allowed());
    if (Math.max(w.length(), Math.max(tiles.spread(), tiles.products())) > MOST_NUMBERS) {
      return null;
    }
    primitive_attr attr = PostOps.none(site).attr();
    memory.desc kernel = site.session().own(OneDnn.any(tiles.channels(), tiles.filters()));
    memory.desc from = matrix(site.session(), tiles, tiles.channels());
    matmul.desc desc = site.session().own(new matmul.desc(from, kernel, matrix(site.session(), tiles, tiles.filters())));
    // NB: each product is computed by one thread.
    matmul.primitive_desc found = Threads.onOne(() -> OneDnn.ask(() -> new matmul.primitive_desc(desc, attr, OneDnn.cpu())));
    return found == null ? null : new Winograd(site, w, tiles, affine, site.session().own(found));
  }

  /** Tells whether all that is left of the chain is a ReLU. */
  private static boolean cuts(Site site, Affine affine) {
    List<GraphNode> links = site.chain().links();
    List<Eltwise> functions = links.size() == affine.links() + 1 ? Eltwise.of(links.get(affine.links())) : null;
    return functions != null && functions.size() == 1 && functions.get(0).function() == algorithm.eltwise_relu && functions.get(0).alpha() == 0;
  }

  private static memory.desc matrix(OneDnnSession session, Tiles tiles, int columns) {
    return session.own(OneDnn.plain(tiles.count(), columns));
  }

  WinogradForm form() {
    return tiles.form();
  }

  /** Tells whether it may be the fastest way, and takes long enough to find out. */
  boolean isPlausible() {
    long least = tiles.threads() > 1 ? MANY_PRODUCTS : FEW_PRODUCTS;
    return form().isPlausible(tiles.count() * tiles.portions()) && tiles.resultNumbers() * tiles.channels() >= least;
  }

  @Override
  public String toString() {
    return tiles.form().toString();
  }

  /** Returns how many bytes the kernels take. */
  long kernelBytes() {
    return form().positions() * size(product.weights_desc());
  }

  /** Returns how many bytes a step needs beside its image, kernels and result. */
  long scratchBytes() {
    long portions = tiles.apart() ? tiles.threads() : 1;
    return portions * Float.BYTES * (tiles.spread() + tiles.products()) + tiles.threads() * size(product.scratchpad_desc());
  }

  private static long size(memory.desc desc) {
    try (memory.desc closed = desc) {
      return closed.get_size();
    }
  }

  /** Returns what compiles it. */
  OpMapping mapping(INDArray x) {
    return context -> {
      INDArray z = context.allocate(0, tiles.resultShape());
      LongFunction<Pointer> scratch = bytes -> NativeArrays.borrowed(context.scratch(DataType.INT8, bytes));
      return step(site.session(), scratch, NativeArrays.borrowed(x), NativeArrays.borrowed(z), this::kernel);
    };
  }

  /**
   * Makes the step.
   *
   * @param session owns everything native
   * @param scratch gives some bytes of memory that nothing else writes while the step runs
   * @param x the images
   * @param z where the result goes
   * @param kernels gives the kernel of each position
   */
  Step step(OneDnnSession session, LongFunction<Pointer> scratch, Pointer x, Pointer z, IntFunction<memory> kernels) {
    List<WinogradWorker> workers = new ArrayList<>();
    matmul primitive = Threads.onOne(() -> new matmul(product));
    Pointer spread = null;
    Pointer results = null;
    for (int i = 0; i < tiles.threads(); i++) {
      if (i == 0 || tiles.apart()) {
        spread = scratch.apply(Float.BYTES * tiles.spread());
        results = scratch.apply(Float.BYTES * tiles.products());
      }
      WinogradTransform transform =
          new WinogradTransform(
              tiles, floats(x, tiles.imageNumbers()), floats(spread, tiles.spread()), floats(results, tiles.products()),
              floats(z, tiles.resultNumbers()), affine.shifts() ? affine.shift() : null, cuts(site, affine));
      workers.add(new WinogradWorker(tiles, transform, products(session, primitive, scratch, spread, results, kernels)));
    }
    return new WinogradStep(tiles, workers, OneDnn.implementation(product) + ", " + form());
  }

  private List<Step> products(
      OneDnnSession session, matmul primitive, LongFunction<Pointer> scratch, Pointer spread, Pointer results, IntFunction<memory> kernels) {
    memory.desc extra = session.own(product.scratchpad_desc());
    memory shared = extra.get_size() > 0 ? memory(session, extra, scratch.apply(extra.get_size()), 0) : null;
    memory.desc from = matrix(session, tiles, tiles.channels());
    memory.desc to = matrix(session, tiles, tiles.filters());
    List<Step> products = new ArrayList<>();
    for (int position = 0; position < form().positions(); position++) {
      Call call = new Call(session, product, primitive).arg(DNNL_ARG_WEIGHTS, kernels.apply(position));
      call.arg(DNNL_ARG_SRC, memory(session, from, spread, position)).arg(DNNL_ARG_DST, memory(session, to, results, position));
      products.add((shared == null ? call : call.arg(DNNL_ARG_SCRATCHPAD, shared)).step());
    }
    return products;
  }

  /** Returns one of several things of a kind that lie one after the other. */
  private static memory memory(OneDnnSession session, memory.desc desc, Pointer start, long which) {
    return session.own(new memory(desc, OneDnn.cpu(), new BytePointer(start).position(which * desc.get_size())));
  }

  private static FloatBuffer floats(Pointer start, long count) {
    return new FloatPointer(start).capacity(count).asBuffer();
  }

  /** Lets the kernel of a position be anything in some memory, where all of them have room. */
  memory kernelAt(OneDnnSession session, Pointer start, int position) {
    return memory(session, session.own(product.weights_desc()), start, position);
  }

  private memory kernel(int position) {
    String key = site.head().inputs().get(1) + " scaled " + site.key(affine.links()) + " for " + form() + " at " + position;
    memory.desc plain = site.session().own(OneDnn.plain(tiles.channels(), tiles.filters()));
    memory.desc wanted = site.session().own(product.weights_desc());
    return site.weights().packed(key, wanted, plain, () -> WinogradKernel.transform(form(), w, affine, position));
  }
}
