package io.kbridge.plan;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedDeque;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;

/**
 * Threads that share out the work of a call: the calling thread does one part, others do the rest. Between steps they wait awake for a few
 * microseconds, as OpenMP's threads do, then they sleep. Native code that they call uses no further threads.
 */
public final class Crew {
  private static final int SPINS = 2_000;
  // NB: less than what the spins take, so that a thread that has been woken up is awake when the next call comes.
  private static final long SOON_NS = 20_000;
  private static final ConcurrentLinkedDeque<Helper> IDLE = new ConcurrentLinkedDeque<>();
  // NB: where something else has the other cores, a thread that wakes up displaces the caller, for as long as it spins.
  private static final long SELDOM_NS = 2_000_000;
  private static final int CORES = Runtime.getRuntime().availableProcessors();
  private static final AtomicInteger COUNT = new AtomicInteger();
  private static volatile long lastOffer = System.nanoTime() - SOON_NS;
  private static volatile long lastWaking = System.nanoTime() - SELDOM_NS;

  private Crew() {}

  /**
   * Does all parts at once, each on one thread; returns when all are done.
   *
   * @param parts the parts, of which the first is done by the calling thread
   */
  public static void share(List<Runnable> parts) {
    Threads.onOne(
        () -> {
          run(parts);
          return null;
        });
  }

  private static void run(List<Runnable> parts) {
    List<Helper> helpers = new ArrayList<>(parts.size() - 1);
    for (Runnable part : parts.subList(1, parts.size())) {
      Helper helper = any();
      helpers.add(helper);
      helper.give(part);
    }
    try {
      parts.get(0).run();
    } finally {
      helpers.forEach(Helper::await);
    }
    for (Helper helper : helpers) {
      Throwable failure = helper.failure;
      IDLE.addFirst(helper);
      check(failure);
    }
  }

  /**
   * Does all parts, in any order and, where other threads come in time, at the same time. Does not wait for a thread to come: what none has begun
   * with is done by the calling thread. Native code that it calls is not kept to one thread: that is the caller's part.
   *
   * @param parts the parts
   * @param wake whether to wake threads up for them; otherwise, for parts that take a few microseconds, only those help that are awake. They stay so
   *     while such calls follow each other closely
   */
  static void offer(List<Runnable> parts, boolean wake) {
    List<Offer> offers = new ArrayList<>(parts.size() - 1);
    for (Runnable part : parts.subList(1, parts.size())) {
      Offer offer = new Offer(part);
      offers.add(offer);
      Helper helper = wake ? free() : awake();
      if (helper != null) {
        helper.give(offer);
      }
    }
    try {
      parts.get(0).run();
      offers.forEach(Offer::run);
    } finally {
      offers.forEach(Offer::end);
      lastOffer = System.nanoTime();
    }
    offers.forEach(Offer::check);
  }

  private static Helper any() {
    Helper helper = IDLE.pollFirst();
    return helper == null ? new Helper() : helper;
  }

  /** Returns a thread that has nothing to do, or null: those that were given something and have not come yet must not become ever more. */
  private static Helper free() {
    Helper helper = IDLE.pollFirst();
    return helper == null && COUNT.get() < CORES ? new Helper() : helper;
  }

  /** Returns a thread that waits awake, or null; then, if calls follow each other closely, one is there for one of the next calls. */
  private static Helper awake() {
    Helper helper = IDLE.pollFirst();
    if (helper != null && !helper.asleep) {
      return helper;
    }
    long now = System.nanoTime();
    if (now - lastOffer < SOON_NS && now - lastWaking > SELDOM_NS) {
      lastWaking = now;
      if (helper == null) {
        helper = free();
      } else {
        LockSupport.unpark(helper.thread);
      }
    }
    if (helper != null) {
      IDLE.addFirst(helper);
    }
    return null;
  }

  /**
   * Waits until something is so that another thread will make so.
   *
   * @param condition tells whether it is
   */
  public static void await(BooleanSupplier condition) {
    for (int spins = 0; !condition.getAsBoolean(); spins++) {
      if (spins < SPINS) {
        Thread.onSpinWait();
      } else {
        // NB: whoever is waited for may need this core.
        Thread.yield();
      }
    }
  }

  /** A part that whoever comes first does. */
  private static final class Offer implements Runnable {
    private static final int OPEN = 0;
    private static final int TAKEN = 1;
    private static final int DONE = 2;

    private final AtomicInteger state = new AtomicInteger(OPEN);
    private final Runnable part;
    private Throwable failure;

    Offer(Runnable part) {
      this.part = part;
    }

    /** Does the part, if nobody has begun with it. */
    @Override
    public void run() {
      if (take()) {
        perform();
        state.set(DONE);
      }
    }

    boolean take() {
      return state.compareAndSet(OPEN, TAKEN);
    }

    void perform() {
      try {
        part.run();
      } catch (RuntimeException | Error e) {
        failure = e;
      }
    }

    /** Returns when nobody does the part any more, or will. */
    void end() {
      if (!state.compareAndSet(OPEN, DONE)) {
        Crew.await(() -> state.get() == DONE);
      }
    }

    void check() {
      Crew.check(failure);
    }
  }

  private static void check(Throwable failure) {
    if (failure instanceof Error) {
      throw (Error) failure;
    } else if (failure != null) {
      throw (RuntimeException) failure;
    }
  }

  /** A thread that does one part at a time. */
  private static final class Helper implements Runnable {
    private final Thread thread = new Thread(this, "kbridge step");
    private volatile Runnable part;
    private volatile boolean asleep;
    private Throwable failure;

    Helper() {
      COUNT.incrementAndGet();
      thread.setDaemon(true);
      thread.start();
    }

    void give(Runnable given) {
      failure = null;
      part = given;
      if (asleep) {
        LockSupport.unpark(thread);
      }
    }

    void await() {
      Crew.await(() -> part == null);
    }

    @Override
    public void run() {
      Threads.keepToOne();
      int spins = 0;
      while (true) {
        Runnable given = part;
        if (given != null) {
          perform(given);
          spins = 0;
        } else if (spins++ < SPINS) {
          Thread.onSpinWait();
        } else {
          sleep();
          spins = 0;
        }
      }
    }

    private void perform(Runnable given) {
      if (given instanceof Offer) {
        perform((Offer) given);
        return;
      }
      try {
        given.run();
      } catch (RuntimeException | Error e) {
        failure = e;
      } finally {
        part = null;
      }
    }

    private void perform(Offer offer) {
      boolean taken = offer.take();
      if (taken) {
        offer.perform();
      }
      part = null;
      // NB: before the caller goes on, so that its next call finds this thread.
      IDLE.addFirst(this);
      if (taken) {
        offer.state.set(Offer.DONE);
      }
    }

    private void sleep() {
      asleep = true;
      // NB: looked at once more, because whoever gives a part wakes those up alone that have said that they sleep.
      if (part == null) {
        LockSupport.park(this);
      }
      asleep = false;
    }
  }
}
