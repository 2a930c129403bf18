package io.kbridge.plan;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertTrue;

import org.bytedeco.javacpp.Pointer;
import org.junit.Test;

public class ArenaTest {
  private static final long LARGE = 8L << 20;

  @Test
  public void whatNeverIsInUseAtOnceLiesInTheSameMemory() {
    Arena first = new Arena();
    Arena.Block block = first.allocate(LARGE);
    first.allocate(LARGE);
    long before = Pointer.totalBytes();
    Arena second = Arena.instead(first);
    assertEquals(block.pointer().address(), second.allocate(LARGE).pointer().address());
    assertEquals(before, Pointer.totalBytes());
    assertNotEquals(block.pointer().address(), second.allocate(2 * LARGE).pointer().address());
    first.close();
    second.trim();
    assertEquals("one slab of the first, one of its own", 3 * LARGE, second.bytes());
    block = second.allocate(LARGE);
    block.pointer().fill(1);
    assertEquals(1, block.pointer().get(LARGE - 1));
    long open = Pointer.totalBytes();
    second.close();
    assertTrue(Pointer.totalBytes() <= open - 3 * LARGE);
  }

  @Test
  public void threadsDoNotWriteCloseToEachOther() {
    try (Arena whole = new Arena()) {
      long one = Arena.part(whole).allocate(64).pointer().address();
      long other = Arena.part(whole).allocate(64).pointer().address();
      assertTrue(Math.abs(one - other) >= 1 << 20);
    }
  }
}
