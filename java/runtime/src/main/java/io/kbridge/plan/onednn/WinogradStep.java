package io.kbridge.plan.onednn;

import io.kbridge.plan.Step;
import io.kbridge.plan.Team;
import java.util.List;

/** Runs Winograd's algorithm: the transform of images, products, the transform to the result. */
final class WinogradStep implements Step {
  private final Tiles tiles;
  private final WinogradWorker[] workers;
  private final String implementation;
  private final Runnable work;
  private int portion;

  /**
   * Puts the parts together.
   *
   * @param tiles how images are cut
   * @param workers one for each thread
   * @param implementation what computes it
   */
  WinogradStep(Tiles tiles, List<WinogradWorker> workers, String implementation) {
    this.tiles = tiles;
    this.workers = workers.toArray(new WinogradWorker[0]);
    this.implementation = implementation;
    this.work = workers.size() == 1 ? () -> portions(0) : tiles.apart() ? new Team(workers.size(), this::portions)::run : together();
  }

  private void portions(int part) {
    for (int i = tiles.portions() * part / workers.length; i < tiles.portions() * (part + 1) / workers.length; i++) {
      workers[part].run(i);
    }
  }

  /** Lets each thread write its memory, as it has when other steps of the kind have run. */
  void warm() {
    if (workers.length == 1) {
      workers[0].warm();
    } else {
      new Team(workers.length, part -> workers[part].warm()).run();
    }
  }

  private Runnable together() {
    int parts = workers.length;
    Team spread = new Team(parts, part -> workers[part].spread(portion, part, parts));
    Team multiply = new Team(parts, part -> workers[part].multiply(part, parts));
    Team gather = new Team(parts, part -> workers[part].gather(portion, part, parts));
    return () -> {
      for (portion = 0; portion < tiles.portions(); portion++) {
        spread.run();
        multiply.run();
        gather.run();
      }
    };
  }

  @Override
  public void run() {
    work.run();
  }

  @Override
  public String implementation() {
    return "oneDNN " + implementation;
  }
}
