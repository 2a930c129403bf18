package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.algorithm;

import io.kbridge.graph.GraphNode;
import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpMapping;
import io.kbridge.plan.Team;
import io.kbridge.plan.Threads;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.dnnl.matmul;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive_attr;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.ndarray.INDArray;

/**
 * A convolution by one form of Winograd's algorithm, of arrays whose channels lie last: transforms of images and results are loops in Java, what
 * lies between is products of matrices by oneDNN, one for each number of a tile. oneDNN's own code for the algorithm wants channels in blocks, and is for
 * kernels of 3x3 only. On one core it is slower for small images, on several for large ones: it transforms an image as a whole, and writes what does not
 * fit into the caches past them.
 */
final class Winograd {
  // NB: Java's buffers count in int.
  private static final long MOST_NUMBERS = 1L << 29;
  // NB: fewer take no time worth a trial.
  private static final long FEW_PRODUCTS = 1L << 19;
  // NB: on several threads, always worth a trial that a first prediction has to wait for.
  private static final long MANY_PRODUCTS = 1L << 26;
  // NB: with fewer, if there are so many tiles that products take longer than reading kernels, and kernels of 3x3, for which oneDNN has code of its own,
  // have so many channels that products take longer than transforms.
  private static final long SOME_PRODUCTS = 1L << 21;
  private static final int MANY_TILES = 64;
  private static final int MANY_CHANNELS = 36;
  private static final int POOL = 2;
  private static final long[] SQUARE = {POOL, POOL};

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
    boolean finishes = cuts(site, affine) || affine.links() == functions(site);
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
    long[] shape = window.shape(x.size(0), w.size(3));
    int pool = pool(site);
    if (form.down().side() % pool != 0 || form.across().side() % pool != 0 || !fits(site, shape, pool)) {
      return null;
    }
    Tiles tiles = new Tiles(form, x.shape(), shape, window.before(), pool, Threads.allowed());
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

  /** Returns how many rows and columns a window has of the pooling that the chain ends with; 1 if it does not. */
  private static int pool(Site site) {
    List<GraphNode> links = site.chain().links();
    return !links.isEmpty() && isPool(links.get(links.size() - 1)) ? POOL : 1;
  }

  /** Tells whether a node is a pooling that can follow in a chain: for the largest number of 2x2, with windows side by side. */
  static boolean isPool(GraphNode node) {
    return node.op().equals("MaxPool")
        && node.attrs().getString("data_format", "channels_last").equals("channels_last")
        && Arrays.equals(node.attrs().getLongs("pool_size"), SQUARE)
        && (!node.attrs().has("strides") || Arrays.equals(node.attrs().getLongs("strides"), SQUARE));
  }

  /** Tells whether a chain with a pooling gives as much as there are whole windows. */
  private static boolean fits(Site site, long[] shape, int pool) {
    List<GraphNode> links = site.chain().links();
    boolean whole = shape[1] % pool == 0 && shape[2] % pool == 0;
    return pool == 1 || whole || links.get(links.size() - 1).attrs().getString("padding", "valid").equals("valid") && Math.min(shape[1], shape[2]) >= pool;
  }

  /** Returns how many links there are before the pooling. */
  private static int functions(Site site) {
    return site.chain().links().size() - (pool(site) > 1 ? 1 : 0);
  }

  /** Tells whether all that is left of the chain, before a pooling, is a ReLU. */
  private static boolean cuts(Site site, Affine affine) {
    List<Eltwise> found = functions(site) == affine.links() + 1 ? Eltwise.of(site.chain().links().get(affine.links())) : null;
    return found != null && found.size() == 1 && found.get(0).function() == algorithm.eltwise_relu && found.get(0).alpha() == 0;
  }

  private static memory.desc matrix(OneDnnSession session, Tiles tiles, int columns) {
    return session.own(OneDnn.plain(tiles.count(), columns));
  }

  WinogradForm form() {
    return tiles.form();
  }

  /** Tells whether it may be the fastest way, and takes long enough to find out. */
  boolean isPlausible() {
    long count = (long) tiles.allRows() * tiles.columns();
    long multiplied = tiles.multiplied();
    return form().isPlausible(Math.toIntExact(count)) && (tiles.threads() == 1 ? multiplied >= FEW_PRODUCTS : isPlausible(count, multiplied));
  }

  private boolean isPlausible(long count, long multiplied) {
    // NB: of two numbers of channels, half of the harmonic mean.
    boolean gains = form().isOurs() || tiles.channels() * tiles.filters() >= MANY_CHANNELS * (tiles.channels() + tiles.filters());
    return multiplied >= MANY_PRODUCTS || multiplied >= SOME_PRODUCTS && count >= MANY_TILES && gains;
  }

  @Override
  public String toString() {
    return tiles.form().toString();
  }

  /** Returns the same without a pooling. */
  Winograd alone() {
    return pools() ? new Winograd(site, w, tiles.alone(), affine, product) : this;
  }

  /** Tells whether a pooling is part of it. */
  boolean pools() {
    return tiles.pool() > 1;
  }

  /** Returns how many bytes the kernels take. */
  long kernelBytes() {
    return form().positions() * size(product.weights_desc());
  }

  /** Returns how many bytes of memory a thread needs at most. */
  long scratchBytes() {
    return tileBytes() + productBytes();
  }

  /** Returns how many bytes the tiles and the products of a portion take. */
  private long tileBytes() {
    return Float.BYTES * (tiles.spread() + tiles.products());
  }

  /** Returns how much memory a product needs beside what it reads and writes. */
  private long productBytes() {
    return size(product.scratchpad_desc());
  }

  /** Returns how many threads need that. */
  int threads() {
    return tiles.threads();
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
      Scratch scratch = (thread, bytes) -> at(NativeArrays.borrowed(context.scratchOf(thread, bytes)), 0);
      return step(site.session(), scratch, NativeArrays.borrowed(x), NativeArrays.borrowed(z), kernels());
    };
  }

  /**
   * Makes the step.
   *
   * @param session owns everything native
   * @param scratch gives memory to the threads
   * @param x the images
   * @param z where the result goes
   * @param kernels the kernels of all positions, one after the other
   */
  WinogradStep step(OneDnnSession session, Scratch scratch, Pointer x, Pointer z, memory kernels) {
    List<WinogradWorker> workers = new ArrayList<>();
    BytePointer first = null;
    for (int i = 0; i < tiles.threads(); i++) {
      boolean apart = i == 0 || tiles.apart();
      long bytes = (apart ? tileBytes() : 0) + productBytes();
      BytePointer own = at(scratch.of(i, bytes), 0).capacity(bytes);
      first = i == 0 ? own : first;
      Pointer spread = at(apart ? own : first, 0);
      Pointer results = at(spread, Float.BYTES * tiles.spread());
      WinogradTransform transform =
          new WinogradTransform(
              tiles, floats(x, tiles.imageNumbers()), floats(spread, tiles.spread()), floats(results, tiles.products()),
              floats(z, tiles.resultNumbers()), affine.shifts() ? affine.shift() : null, cuts(site, affine));
      WinogradProducts products = new WinogradProducts(session, product, spread, results, kernels);
      if (productBytes() > 0) {
        memory.desc extra = session.own(product.scratchpad_desc());
        products.scratch(session.own(new memory(extra, OneDnn.cpu(), at(own, bytes - productBytes()))));
      }
      workers.add(new WinogradWorker(tiles, transform, products, own));
    }
    return new WinogradStep(tiles, workers, OneDnn.implementation(product) + ", " + form());
  }

  private static BytePointer at(Pointer start, long bytes) {
    return start.getPointer(BytePointer.class, bytes);
  }

  private static FloatBuffer floats(Pointer start, long count) {
    return new FloatPointer(start).capacity(count).asBuffer();
  }

  /** Lets the kernels be anything in some memory, where all of them have room. */
  memory kernelsAt(OneDnnSession session, Pointer start) {
    return session.own(new memory(session.own(OneDnn.plain(kernelBytes() / Float.BYTES)), OneDnn.cpu(), start));
  }

  private memory kernels() {
    memory.desc one = product.weights_desc();
    String key = site.head().inputs().get(1) + " scaled " + site.key(affine.links()) + " for " + form() + " in " + OneDnn.order(one);
    return site.weights().filled(key, site.session().own(OneDnn.plain(kernelBytes() / Float.BYTES)), into -> pack(one, into.get_data_handle()));
  }

  /** Packs the kernels of all positions, each in the layout of one. */
  private void pack(memory.desc layout, Pointer into) {
    try (memory.desc plain = OneDnn.plain(tiles.channels(), tiles.filters())) {
      for (int position = 0; position < form().positions(); position++) {
        try (FloatPointer kernel = WinogradKernel.transform(form(), w, affine, position);
            memory to = new memory(layout, OneDnn.cpu(), at(into, position * layout.get_size()))) {
          Portions.copy(plain, kernel, to, () -> { });
        }
      }
    }
  }

  /** Memory for what a step writes in between. */
  @FunctionalInterface
  interface Scratch {
    /**
     * Gives memory to a thread.
     *
     * @param thread which of them
     * @param bytes how much
     * @return where it is; the same for all steps that do not run at the same time
     */
    BytePointer of(int thread, long bytes);
  }
}
