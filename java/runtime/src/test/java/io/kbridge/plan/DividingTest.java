package io.kbridge.plan;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import java.util.Map;
import org.junit.Test;

/** What is known of some batches is taken for known of others. */
public class DividingTest {
  private static Division batch(long samples, long largest) {
    return Division.of(Map.of("x", new long[] {samples, 3}), 2, largest);
  }

  @Test
  public void moreSamplesAreTriedAgainWhereFewWereNotWorthIt() {
    Dividing dividing = Dividing.of("measure");
    assertFalse(dividing.isKnown(batch(4, 4)));
    dividing.note(batch(4, 4), false);
    assertTrue(dividing.isRefused(batch(4, 4)) && dividing.isRefused(batch(2, 4)));
    assertFalse(dividing.isKnown(batch(16, 4)));
    dividing.note(batch(16, 4), true);
    assertTrue(dividing.isKnown(batch(64, 4)) && !dividing.isRefused(batch(64, 4)));
    assertFalse(dividing.isKnown(batch(8, 4)));
    assertTrue(dividing.isRefused(batch(4, 4)));
  }

  @Test
  public void aChoiceNeedsNoTrial() {
    assertTrue(Dividing.of("always").isKnown(batch(2, 4)) && !Dividing.of("always").isRefused(batch(2, 4)));
    assertTrue(Dividing.of("never").isRefused(batch(64, 4)));
  }

  @Test
  public void trialsHaveEightSamplesForEachCoreAtMost() {
    for (long largest : new long[] {1, 2, 4}) {
      assertEquals(16, batch(64, largest).few().samples());
      assertEquals(largest, batch(64, largest).few().chunk());
    }
    assertEquals(4, batch(4, 4).few().samples());
    assertEquals(12, batch(18, 4).few().samples());
  }
}
