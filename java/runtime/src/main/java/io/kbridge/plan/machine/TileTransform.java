package io.kbridge.plan.machine;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;

/** A transform of Winograd's algorithm, ready to be given to threads. Immutable. */
public final class TileTransform {
  private final TileShape shape;
  private final MachineCode code;
  private final Constants constants;
  private final Memory shifts;
  private final Cut cut;

  private TileTransform(TileShape shape, TileCode code, Cut cut, float[] shift) {
    this.shape = shape;
    this.code = MachineCode.of(code.write());
    this.constants = code.constants();
    this.cut = cut;
    this.shifts = shift == null ? null : new Memory((long) shift.length * Float.BYTES);
    if (shift != null) {
      shifts.write(0, shift, 0, shift.length);
    }
  }

  /**
   * Takes the transform of an image.
   *
   * @param shape how its tiles lie
   * @return the transform
   */
  public static TileTransform ofImage(TileShape shape) {
    return new TileTransform(shape, TileCode.ofImage(shape), Cut.NONE, null);
  }

  /**
   * Takes the transform of products to the result.
   *
   * @param shape how its tiles lie
   * @param pool how many rows and columns a window of a pooling for the largest has, whose windows lie side by side; 1 without one
   * @param cut which sums become others
   * @param shift what is added before that, one number for each channel
   * @return the transform
   */
  public static TileTransform ofResult(TileShape shape, int pool, Cut cut, float[] shift) {
    return new TileTransform(shape, TileCode.ofResult(shape, pool, cut), cut, shift);
  }

  /**
   * Adds the transform of some tiles to what a thread does.
   *
   * @param jobs the lists
   * @param thread which of them
   * @param tiles the tiles
   * @param spread where the transform of the first tile's first group is
   * @param firstGroup the first group of 16 channels to transform
   * @param groups how many; nothing is done if there are none
   */
  public void addTo(Jobs jobs, int thread, TileTable tiles, long spread, int firstGroup, int groups) {
    if (groups == 0) {
      return;
    }
    Memory arguments = new Memory(constants.end());
    arguments.setLong(TileArguments.TILES, Pointer.nativeValue(tiles.address()));
    arguments.setLong(TileArguments.COUNT, tiles.count());
    arguments.setLong(TileArguments.GROUPS, groups);
    arguments.setLong(TileArguments.FIRST_GROUP, (long) firstGroup * shape.groupStep());
    arguments.setLong(TileArguments.SPREAD, spread + (long) firstGroup * shape.tilesStep());
    long shift = shifts == null ? 0 : Pointer.nativeValue(shifts) + (long) firstGroup * PanelShape.VECTOR * Float.BYTES;
    arguments.setLong(TileArguments.SHIFTS, shift);
    arguments.setFloat(TileArguments.MOST, cut.most());
    constants.write(arguments);
    jobs.add(thread, code, arguments, this, tiles);
  }
}
