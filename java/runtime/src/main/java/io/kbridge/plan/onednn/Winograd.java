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
import io.kbridge.plan.Threads;
import java.nio.FloatBuffer;
import java.util.List;
import java.util.function.LongFunction;
import org.bytedeco.dnnl.matmul;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A 3x3 convolution by Winograd's algorithm, of arrays whose channels lie last: transforms of images and results are loops in Java, what lies between
 * is 36 products of matrices by oneDNN. oneDNN's own code for the algorithm wants channels in blocks, and is slower for small images. For plans on one
 * core: sharing out transforms and products takes longer than it saves.
 */
final class Winograd {
  // NB: Java's buffers count in int.
  private static final long MOST_NUMBERS = 1L << 29;
  // NB: fewer take no time worth a trial.
  private static final long FEW_PRODUCTS = 1L << 19;

  private final Site site;
  private final INDArray w;
  private final Tiles tiles;
  private final Affine affine;
  private final matmul.primitive_desc products;

  private Winograd(Site site, INDArray w, Tiles tiles, Affine affine, matmul.primitive_desc products) {
    this.site = site;
    this.w = w;
    this.tiles = tiles;
    this.affine = affine;
    this.products = products;
  }

  /**
   * Finds the products.
   *
   * @param site the chain of a 3x3 convolution with strides of one
   * @param x the images
   * @param w the kernel
   * @param window where it lies
   * @param affine what goes into the kernel and the shift
   * @return the way to compute it, or null if it has to be computed in another one
   */
  static Winograd find(Site site, INDArray x, INDArray w, Window window, Affine affine) {
    boolean finishes = cuts(site, affine) || affine.links() == site.chain().links().size();
    if (Threads.allowed() > 1 || !finishes || !OneDnn.hasWideVectors()) {
      return null;
    }
    Tiles tiles = new Tiles(x.shape(), window.shape(x.size(0), w.size(3)), window.before());
    if (Math.max(tiles.spread(), tiles.products()) > MOST_NUMBERS) {
      return null;
    }
    primitive_attr attr = PostOps.none(site).attr();
    matmul.desc desc = site.session().own(new matmul.desc(spread(site, tiles), kernels(site, tiles, true), results(site, tiles)));
    matmul.primitive_desc found = OneDnn.ask(() -> new matmul.primitive_desc(desc, attr, OneDnn.cpu()));
    return found == null ? null : new Winograd(site, w, tiles, affine, site.session().own(found));
  }

  /** Tells whether all that is left of the chain is a ReLU. */
  private static boolean cuts(Site site, Affine affine) {
    List<GraphNode> links = site.chain().links();
    List<Eltwise> functions = links.size() == affine.links() + 1 ? Eltwise.of(links.get(affine.links())) : null;
    return functions != null && functions.size() == 1 && functions.get(0).function() == algorithm.eltwise_relu && functions.get(0).alpha() == 0;
  }

  private static memory.desc spread(Site site, Tiles tiles) {
    return site.session().own(OneDnn.plain(Tiles.POSITIONS, tiles.count(), tiles.channels()));
  }

  private static memory.desc results(Site site, Tiles tiles) {
    return site.session().own(OneDnn.plain(Tiles.POSITIONS, tiles.count(), tiles.filters()));
  }

  private static memory.desc kernels(Site site, Tiles tiles, boolean any) {
    long[] dims = {Tiles.POSITIONS, tiles.channels(), tiles.filters()};
    return site.session().own(any ? OneDnn.any(dims) : OneDnn.plain(dims));
  }

  /** Tells whether it takes long enough to find out whether another way takes longer. */
  boolean isLarge() {
    return tiles.resultNumbers() * tiles.channels() >= FEW_PRODUCTS;
  }

  /** Returns how many bytes the kernels take. */
  long kernelBytes() {
    return size(products.weights_desc());
  }

  /** Returns how many bytes a step needs beside its image, kernels and result. */
  long scratchBytes() {
    return Float.BYTES * (tiles.spread() + tiles.products()) + size(products.scratchpad_desc());
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
      return step(scratch, NativeArrays.borrowed(x), NativeArrays.borrowed(z), kernel());
    };
  }

  /**
   * Makes the step.
   *
   * @param scratch gives some bytes of memory that nothing else writes while the step runs
   * @param x the images
   * @param z where the result goes
   * @param kernel the kernels
   */
  Step step(LongFunction<Pointer> scratch, Pointer x, Pointer z, memory kernel) {
    Pointer spread = scratch.apply(Float.BYTES * tiles.spread());
    Pointer results = scratch.apply(Float.BYTES * tiles.products());
    Call call = new Call(site.session(), products, new matmul(products)).arg(DNNL_ARG_WEIGHTS, kernel);
    call.arg(DNNL_ARG_SRC, memory(spread(site, tiles), spread)).arg(DNNL_ARG_DST, memory(results(site, tiles), results));
    memory.desc extra = site.session().own(products.scratchpad_desc());
    if (extra.get_size() > 0) {
      call.arg(DNNL_ARG_SCRATCHPAD, memory(extra, scratch.apply(extra.get_size())));
    }
    WinogradTransform transform =
        new WinogradTransform(
            tiles, floats(x, tiles.imageNumbers()), floats(spread, tiles.spread()), floats(results, tiles.products()),
            floats(z, tiles.resultNumbers()), affine.shifts() ? affine.shift() : null, cuts(site, affine));
    return new WinogradStep(transform, call.step());
  }

  private memory memory(memory.desc desc, Pointer start) {
    return site.session().own(new memory(desc, OneDnn.cpu(), start));
  }

  private static FloatBuffer floats(Pointer start, long count) {
    return new FloatPointer(start).capacity(count).asBuffer();
  }

  /** Lets the kernels be anything in some memory. */
  memory kernelAt(Pointer start) {
    return memory(site.session().own(products.weights_desc()), start);
  }

  private memory kernel() {
    String key = site.head().inputs().get(1) + " scaled " + site.key(affine.links()) + " for tiles";
    return site.weights().packed(key, site.session().own(products.weights_desc()), kernels(site, tiles, false), this::transformed);
  }

  private Pointer transformed() {
    float[] content = affine.scales() ? affine.scaled(OneDnn.content(w)) : OneDnn.content(w);
    return WinogradKernel.transform(content, tiles.channels(), tiles.filters());
  }
}
