package io.kbridge.plan.onednn;

import io.kbridge.plan.machine.Cut;
import io.kbridge.plan.machine.EvenBlocks;
import io.kbridge.plan.machine.Jobs;
import io.kbridge.plan.machine.PanelDivision;
import io.kbridge.plan.machine.PanelProduct;
import io.kbridge.plan.machine.PanelShape;
import io.kbridge.plan.machine.TileShape;
import io.kbridge.plan.machine.TileTable;
import io.kbridge.plan.machine.TileTransform;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.bytedeco.dnnl.memory;
import org.bytedeco.javacpp.BytePointer;

/** Makes the work of Winograd's algorithm: which thread transforms which tiles, and multiplies what. */
final class WinogradWork {
  private static final int LINE = PanelShape.VECTOR * Float.BYTES;
  // NB: positions of a tile would have the same place in the first cache, which has room for twelve such lines.
  private static final long APART = LINE;

  private final Tiles tiles;
  private final Pixel from;
  private final Pixel to;
  private final TileTransform toTiles;
  private final TileTransform toResult;
  private long images;
  private long result;

  /**
   * Takes what is to be done.
   *
   * @param tiles how images are cut
   * @param blockedIn whether the images' channels lie in blocks
   * @param blockedOut whether the result's do
   * @param shift what is added to each filter
   * @param cut which sums become others
   */
  WinogradWork(Tiles tiles, boolean blockedIn, boolean blockedOut, float[] shift, Cut cut) {
    this.tiles = tiles;
    this.from = new Pixel(tiles.height(), tiles.width(), tiles.channels(), blockedIn);
    this.to = new Pixel(tiles.resultHeight(), tiles.resultWidth(), tiles.filters(), blockedOut);
    this.toTiles = TileTransform.ofImage(shape(from, tiles.channels()));
    this.toResult = TileTransform.ofResult(shape(to, tiles.filters()), tiles.pool(), cut, shift);
  }

  /** Returns how many bytes of memory tiles of a portion take, and their products. */
  static long bytes(Tiles tiles) {
    return tiles.form().positions() * (step(tiles, tiles.channels()) + step(tiles, tiles.filters()));
  }

  private static long step(Tiles tiles, int channels) {
    return (long) tiles.count() * channels * Float.BYTES + APART;
  }

  /**
   * Makes the step.
   *
   * @param scratch memory for each thread that needs some
   * @param x the address of the images
   * @param z that of the result
   * @param kernels the kernels of all positions, one after the other
   */
  WinogradStep step(List<BytePointer> scratch, long x, long z, memory kernels) {
    images = x;
    result = z;
    List<PanelProduct> products = new ArrayList<>();
    List<Jobs> jobs = tiles.apart() || tiles.threads() == 1 ? List.of(apart(scratch, products)) : together(scratch.get(0), products);
    return new WinogradStep(tiles, products, jobs, kernels);
  }

  /** Each thread computes whole portions. */
  private Jobs apart(List<BytePointer> scratch, List<PanelProduct> products) {
    int threads = tiles.threads();
    Jobs jobs = new Jobs(threads);
    for (int thread = 0; thread < threads; thread++) {
      long spread = scratch.get(thread).address();
      PanelProduct product = product(1);
      product.bind(spread, step(tiles, tiles.channels()), 0, productsAt(spread), step(tiles, tiles.filters()));
      products.add(product);
      for (int portion = tiles.portions() * thread / threads; portion < tiles.portions() * (thread + 1) / threads; portion++) {
        image(jobs, thread, imageTiles(portion), spread, 0, 1);
        product.addTo(jobs, thread);
        result(jobs, thread, resultTiles(portion), spread, 0, 1);
      }
    }
    return jobs;
  }

  /** All threads work on the same portion: on some of the channels each, on some of the filters, then on some of the filters again. */
  private List<Jobs> together(BytePointer scratch, List<PanelProduct> products) {
    int threads = tiles.threads();
    long spread = scratch.address();
    PanelProduct product = product(threads);
    product.bind(spread, step(tiles, tiles.channels()), 0, productsAt(spread), step(tiles, tiles.filters()));
    products.add(product);
    List<Jobs> all = new ArrayList<>();
    for (int portion = 0; portion < tiles.portions(); portion++) {
      Jobs spreads = new Jobs(threads);
      Jobs multiplies = new Jobs(threads);
      Jobs gathers = new Jobs(threads);
      TileTable imageTiles = imageTiles(portion);
      TileTable resultTiles = resultTiles(portion);
      for (int thread = 0; thread < threads; thread++) {
        image(spreads, thread, imageTiles, spread, thread, threads);
        result(gathers, thread, resultTiles, spread, thread, threads);
      }
      product.addTo(multiplies, 0);
      all.addAll(List.of(spreads, multiplies, gathers));
    }
    return all;
  }

  private long productsAt(long spread) {
    return spread + tiles.form().positions() * step(tiles, tiles.channels());
  }

  private PanelProduct product(int threads) {
    int count = tiles.count();
    EvenBlocks even = new EvenBlocks(count, PanelShape.MOST_ROWS);
    long[][] blocks = new long[even.count()][];
    Arrays.setAll(blocks, i -> new long[] {LINE * even.start(i), LINE * even.start(i)});
    int[][] rows = Arrays.stream(even.sizes()).mapToObj(WinogradWork::lines).toArray(int[][]::new);
    PanelShape shape = new PanelShape(tiles.channels() / PanelShape.VECTOR, count * LINE, rows, LINE, count * LINE, false, Cut.NONE, false, false);
    PanelDivision division = new PanelDivision(tiles.filters() / PanelShape.VECTOR, blocks, even.large(), threads, true, even.count());
    return new PanelProduct(shape, division, tiles.form().positions(), new float[tiles.filters()]);
  }

  private static int[] lines(int count) {
    int[] lines = new int[count];
    for (int i = 0; i < count; i++) {
      lines[i] = i * LINE;
    }
    return lines;
  }

  // ---- Transforms ----

  /** Adds the transform of some of a portion's channels. */
  private void image(Jobs jobs, int thread, TileTable table, long spread, int part, int parts) {
    int groups = tiles.channels() / PanelShape.VECTOR;
    int first = groups * part / parts;
    toTiles.addTo(jobs, thread, table, spread, first, groups * (part + 1) / parts - first);
  }

  /** Adds the transform of some of a portion's filters. */
  private void result(Jobs jobs, int thread, TileTable table, long spread, int part, int parts) {
    int groups = tiles.filters() / PanelShape.VECTOR;
    int first = groups * part / parts;
    toResult.addTo(jobs, thread, table, productsAt(spread), first, groups * (part + 1) / parts - first);
  }

  /** Returns where a portion's tiles are in the images. */
  private TileTable imageTiles(int portion) {
    WinogradForm form = tiles.form();
    TileTable table = new TileTable(form.down().span(), form.across().span(), tiles.count());
    for (int tile = first(portion); tile < first(portion + 1); tile++) {
      int row = tile / tiles.columns();
      int y = row % tiles.rows() * form.down().side() - tiles.top();
      int x = tile % tiles.columns() * form.across().side() - tiles.left();
      table.add(images + from.at(row / tiles.rows(), y, x), y, x, tiles.height(), tiles.width());
    }
    return table;
  }

  /** Returns where a portion's tiles are in the result. */
  private TileTable resultTiles(int portion) {
    int downSide = tiles.form().down().side() / tiles.pool();
    int acrossSide = tiles.form().across().side() / tiles.pool();
    TileTable table = new TileTable(downSide, acrossSide, tiles.count());
    for (int tile = first(portion); tile < first(portion + 1); tile++) {
      int row = tile / tiles.columns();
      int y = row % tiles.rows() * downSide;
      int x = tile % tiles.columns() * acrossSide;
      table.add(result + to.at(row / tiles.rows(), y, x), y, x, tiles.resultHeight(), tiles.resultWidth());
    }
    return table;
  }

  /** Returns the first tile of a portion. */
  private int first(int portion) {
    return Math.min(portion * tiles.count(), tiles.allTiles());
  }

  private TileShape shape(Pixel pixel, int channels) {
    WinogradForm form = tiles.form();
    int position = Math.toIntExact(step(tiles, channels));
    return new TileShape(form.down().tile(), form.across().tile(), pixel.row, pixel.column, pixel.group, position, tiles.count());
  }

  /** How pixels lie in memory, in bytes. */
  private static final class Pixel {
    private final int row;
    private final int column;
    private final int group;
    private final long sample;

    Pixel(int height, int width, int channels, boolean blocked) {
      column = (blocked ? PanelShape.VECTOR : channels) * Float.BYTES;
      row = width * column;
      group = blocked ? height * row : LINE;
      sample = (long) height * width * channels * Float.BYTES;
    }

    long at(int number, int y, int x) {
      return number * sample + (long) y * row + (long) x * column;
    }
  }
}
