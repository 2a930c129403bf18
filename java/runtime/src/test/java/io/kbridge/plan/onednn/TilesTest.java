package io.kbridge.plan.onednn;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

/** How many portions images are cut into. */
public class TilesTest {
  private static Tiles of(long samples, long side, long channels, int threads) {
    long[] shape = {samples, side, side, channels};
    return new Tiles(WinogradForm.FOUR_BY_THREE, shape, shape, new long[] {1, 1}, 1, threads);
  }

  @Test
  public void oneThreadReadsKernelsNoMoreOftenThanCachesAskFor() {
    assertEquals(1, of(1, 14, 256, 1).portions());
    assertEquals(1, of(2, 14, 256, 1).portions());
    assertEquals(7, of(1, 112, 128, 1).portions());
  }

  @Test
  public void threadsHaveEquallyManyTiles() {
    Tiles large = of(1, 112, 128, 2);
    assertTrue(large.apart());
    assertEquals(0, large.portions() % 2);
    assertEquals(large.allTiles(), large.portions() * large.count());
    Tiles odd = of(1, 28, 128, 2);
    assertEquals(2, odd.portions());
    assertEquals(49, odd.allTiles());
    assertEquals(25, odd.count());
  }

  @Test
  public void fewTilesAreNotSharedOutAmongManyThreads() {
    assertFalse(of(1, 28, 128, 16).apart());
  }

  @Test
  public void threadsShareOnePortionWhereKernelsAreLargerThanTiles() {
    assertFalse(of(1, 28, 512, 2).apart());
    assertEquals(1, of(1, 28, 512, 2).portions());
  }

  @Test
  public void noTileIsLeftOut() {
    for (long side = 7; side < 120; side += 3) {
      for (int threads = 1; threads <= 5; threads++) {
        Tiles tiles = of(3, side, 64, threads);
        assertTrue(tiles.portions() * tiles.count() >= tiles.allTiles());
        assertTrue((tiles.portions() - 1) * tiles.count() < tiles.allTiles());
      }
    }
  }

  @Test
  public void threadsThatComputePortionsAllHaveSome() {
    for (long side = 14; side < 120; side += 3) {
      for (int threads : new int[] {2, 3, 4, 16}) {
        Tiles tiles = of(1, side, 96, threads);
        assertTrue(side + " on " + threads, tiles.apart() || tiles.portions() < threads);
        // NB: of portions of one size there may be one for each thread only if there are so many tiles.
        assertTrue(side + " on " + threads, tiles.portions() == 1 || tiles.apart() || tiles.allTiles() < threads * Math.max(threads, 7));
      }
    }
  }
}
