package io.kbridge.plan.machine;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import org.junit.Test;

/** Parts of a product are all of it, and none of it twice. */
public class PanelDivisionTest {
  @Test
  public void partsAreTheWhole() {
    for (int vectors = 1; vectors <= 9; vectors++) {
      for (int blocks = 1; blocks <= 7; blocks++) {
        for (int large = 1; large <= blocks; large++) {
          for (int parts : new int[] {1, 2, 3, 4, 16, 64}) {
            for (int most : new int[] {1, 2, 3, 7}) {
              check(new PanelDivision(vectors, new long[blocks][2], large, parts, true, most), vectors, blocks, large);
              check(new PanelDivision(vectors, new long[blocks][2], large, parts, false, most), vectors, blocks, large);
            }
          }
        }
      }
    }
  }

  private static void check(PanelDivision division, int vectors, int blocks, int large) {
    int[][] done = new int[vectors][blocks];
    for (int part = 0; part < division.parts(); part++) {
      int own = division.panelCount(part, 2) * 2 + division.panelCount(part, 1);
      assertEquals(division.endVector(part), division.firstVector(part) + own);
      for (int size = 0; size < 2; size++) {
        int first = division.firstBlock(part, size);
        int count = division.blockCount(part, size);
        assertTrue(count == 0 || (size == 0 ? first + count <= large : first >= large));
        for (int vector = division.firstVector(part); vector < division.endVector(part); vector++) {
          for (int block = first; block < first + count; block++) {
            done[vector][block]++;
          }
        }
      }
    }
    for (int[] row : done) {
      for (int times : row) {
        assertEquals(1, times);
      }
    }
  }

  @Test
  public void whatIsUnevenInOneWayIsDividedInTheOther() {
    // NB: three panels for two threads, but four blocks.
    PanelDivision rows = new PanelDivision(6, new long[4][2], 4, 2, true, 4);
    assertEquals(6, rows.endVector(0));
    assertEquals(2, rows.blockCount(0, 0));
    assertEquals(1, rows.unevenness(), 0);
    PanelDivision panels = new PanelDivision(8, new long[3][2], 3, 2, false, 3);
    assertEquals(4, panels.endVector(0));
    assertEquals(3, panels.blockCount(0, 0));
    assertTrue(new PanelDivision(32, new long[5][2], 4, 64, true, 5).unevenness() > 3);
  }

  @Test
  public void aThreadTakesItsRowsBandByBand() {
    PanelDivision bands = new PanelDivision(8, new long[10][2], 10, 2, false, 3);
    assertEquals(4, bands.parts());
    int[] threads = new int[4];
    boolean[] goesOn = new boolean[4];
    for (int part = 0; part < 4; part++) {
      threads[part] = bands.thread(part);
      goesOn[part] = bands.goesOn(part);
      assertTrue(bands.blockCount(part, 0) <= 3);
    }
    assertArrayEquals(new int[] {0, 0, 1, 1}, threads);
    assertArrayEquals(new boolean[] {true, false, true, false}, goesOn);
    assertEquals(2, new PanelDivision(8, new long[10][2], 10, 2, true, 3).parts());
  }
}
