package io.kbridge.plan.machine;

/**
 * Which part of a product each thread computes: some of the panels and all rows, or all panels and some of the rows. Rows come in blocks of two sizes, one less
 * than the other, those of the larger size first. Immutable.
 */
public final class PanelDivision {
  // NB: a part with a tenth more work than another is as good as equal.
  private static final double EVEN = 1.1;

  private final int vectors;
  private final long[][] blocks;
  private final int large;
  private final int threads;
  private final int bands;
  private final boolean byPanels;
  private final double unevenness;

  /**
   * Divides a product.
   *
   * @param vectors how many vectors of columns the result has
   * @param blocks for each block of rows, where they begin, and where its rows of the result begin, both in bytes
   * @param large how many of them have the larger size
   * @param threads how many threads there are
   * @param byPanels whether each should rather compute some of the panels than some of the rows
   * @param most how many blocks a thread multiplies with all panels before it goes on to others
   */
  public PanelDivision(int vectors, long[][] blocks, int large, int threads, boolean byPanels, int most) {
    this.vectors = vectors;
    this.blocks = blocks;
    this.large = large;
    this.threads = threads;
    double panels = unevenness(panelCount()) * panelCount() * PanelShape.WIDTH / vectors;
    double rows = unevenness(blocks.length);
    this.byPanels = byPanels ? panels <= EVEN || panels <= rows : rows > EVEN && panels < rows;
    this.unevenness = this.byPanels ? panels : rows;
    this.bands = this.byPanels ? 1 : (blocks.length + threads * most - 1) / (threads * most);
  }

  /**
   * Returns how much more than its share the thread with the most work gets.
   *
   * @return one if all parts are equal
   */
  public double unevenness() {
    return unevenness;
  }

  /** Returns how much more than its share of some pieces a thread gets at most. */
  private double unevenness(int pieces) {
    return (pieces + threads - 1) / threads * threads / (double) pieces;
  }

  private int panelCount() {
    return (vectors + PanelShape.WIDTH - 1) / PanelShape.WIDTH;
  }

  int parts() {
    return threads * bands;
  }

  /** Returns which thread computes a part, after those before it. */
  int thread(int part) {
    return part / bands;
  }

  /** Tells whether the same thread computes the next part, with the same panels. */
  boolean goesOn(int part) {
    return (part + 1) % bands > 0;
  }

  int vectors() {
    return vectors;
  }

  int blocks() {
    return blocks.length;
  }

  long rowAt(int block) {
    return blocks[block][0];
  }

  long resultAt(int block) {
    return blocks[block][1];
  }

  /** Returns how many of a group's vectors each block asks for, so that all blocks of a part ask for a panel. */
  int lines(PanelShape shape) {
    int each = byPanels ? blocks.length : Math.max(1, blocks.length / parts());
    return (PanelShape.WIDTH * shape.vectorsOfGroup() + each - 1) / each;
  }

  /** Returns a part's first vector of columns. */
  int firstVector(int part) {
    return byPanels ? Math.min(vectors, panelCount() * part / threads * PanelShape.WIDTH) : 0;
  }

  /** Returns the vector of columns behind a part's last one. */
  int endVector(int part) {
    return byPanels ? firstVector(part + 1) : vectors;
  }

  /** Returns how many panels of a width a part has. */
  int panelCount(int part, int width) {
    int own = endVector(part) - firstVector(part);
    return width == 1 ? own % PanelShape.WIDTH : own / PanelShape.WIDTH;
  }

  /** Returns a part's first block of a size; 0 is the larger one. */
  int firstBlock(int part, int size) {
    int first = byPanels ? 0 : blocks.length * part / parts();
    return size == 0 ? Math.min(first, large) : Math.max(first, large);
  }

  /** Returns how many blocks of a size a part has. */
  int blockCount(int part, int size) {
    int end = byPanels ? blocks.length : blocks.length * (part + 1) / parts();
    return Math.max(0, (size == 0 ? Math.min(end, large) : end) - firstBlock(part, size));
  }
}
