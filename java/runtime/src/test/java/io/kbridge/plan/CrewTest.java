package io.kbridge.plan;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.Test;

public class CrewTest {
  private static final int CALLS = 20_000;

  @Test
  public void everyPartIsDoneOnce() {
    int[] counts = new int[3];
    List<Runnable> parts = new ArrayList<>();
    for (int i = 0; i < counts.length; i++) {
      int which = i;
      // NB: not atomic: whoever does a part in a call has to see what was done in the call before.
      parts.add(() -> counts[which]++);
    }
    for (int call = 1; call <= CALLS; call++) {
      Crew.offer(parts, call % 2 == 0);
      for (int count : counts) {
        assertEquals(call, count);
      }
    }
  }

  @Test
  public void callsThatFollowEachOtherHaveHelp() {
    Set<Thread> seen = ConcurrentHashMap.newKeySet();
    Runnable part =
        () -> {
          seen.add(Thread.currentThread());
          long start = System.nanoTime();
          while (System.nanoTime() - start < 5_000) {
            Thread.onSpinWait();
          }
        };
    long start = System.nanoTime();
    // NB: a while, because a machine with other work may give a second thread its turn late.
    while (seen.size() < 2 && System.nanoTime() - start < 30_000_000_000L) {
      Crew.offer(Collections.nCopies(2, part), false);
    }
    assertEquals(2, seen.size());
    assertTrue(seen.contains(Thread.currentThread()));
  }

  @Test
  public void aFailureIsTheCallersWhenNothingRunsAnyMore() {
    for (int call = 0; call < CALLS; call++) {
      int failing = call % 3;
      AtomicInteger running = new AtomicInteger();
      List<Runnable> parts = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        int which = i;
        parts.add(
            () -> {
              running.incrementAndGet();
              try {
                if (which == failing) {
                  throw new IllegalArgumentException("part " + which);
                }
              } finally {
                running.decrementAndGet();
              }
            });
      }
      IllegalArgumentException e = assertThrows(IllegalArgumentException.class, () -> Crew.offer(parts, failing == 1));
      assertEquals("part " + failing, e.getMessage());
      assertEquals(0, running.get());
    }
  }

  @Test
  public void manyThreadsMayOfferAtOnce() throws InterruptedException, ExecutionException {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    try {
      List<Future<Integer>> sums = new ArrayList<>();
      for (int i = 0; i < 4; i++) {
        sums.add(
            pool.submit(
                () -> {
                  AtomicInteger sum = new AtomicInteger();
                  for (int call = 0; call < CALLS; call++) {
                    Crew.offer(List.of(() -> sum.addAndGet(1), () -> sum.addAndGet(2), () -> sum.addAndGet(4)), call % 3 == 0);
                  }
                  return sum.get();
                }));
      }
      for (Future<Integer> sum : sums) {
        assertEquals(7 * CALLS, (int) sum.get());
      }
    } finally {
      pool.shutdown();
      assertTrue(pool.awaitTermination(1, TimeUnit.MINUTES));
    }
  }

  @Test
  public void coresAreFreeWhereNoOtherCallRuns() throws InterruptedException {
    AtomicInteger ran = new AtomicInteger();
    assertTrue(Threads.with(1, () -> Threads.withFree(2, ran::incrementAndGet)));
    assertFalse(Threads.with(2, () -> Threads.withFree(2, ran::incrementAndGet)));
    CountDownLatch other = new CountDownLatch(1);
    CountDownLatch done = new CountDownLatch(1);
    Thread thread =
        new Thread(
            () ->
                Threads.with(
                    1,
                    () -> {
                      other.countDown();
                      return uninterrupted(done);
                    }));
    thread.start();
    other.await();
    assertFalse(Threads.with(1, () -> Threads.withFree(2, ran::incrementAndGet)));
    done.countDown();
    thread.join();
    Thread.sleep(20);
    assertTrue(Threads.with(1, () -> Threads.withFree(2, ran::incrementAndGet)));
    assertEquals(2, ran.get());
  }

  private static boolean uninterrupted(CountDownLatch latch) {
    try {
      return latch.await(1, TimeUnit.MINUTES);
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }
}
