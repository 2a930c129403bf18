package io.kbridge;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;

/**
 * How the threads of OpenMP wait for work. They spin, by default for milliseconds; if anything else wants their core, each parallel loop then stalls until
 * the system takes it from them. libgomp reads from the environment how long, at the moment it is loaded.
 */
final class OpenMp {
  /** The environment variable, and what it is set to. */
  static final String SPINS = "GOMP_SPINCOUNT";

  static final String FEW = "2000";

  static {
    if (System.getenv(SPINS) == null && System.getenv("OMP_WAIT_POLICY") == null && Loader.getPlatform().startsWith("linux")) {
      set(SPINS + "=" + FEW);
    }
  }

  private OpenMp() {}

  /** Makes them wait quietly, unless the environment says how. Without effect once ND4J has loaded its libraries. */
  static void quieten() {
    // NB: done when this class was initialised, once.
  }

  /**
   * Adds a variable to the process's environment. Java has no way to do that, so what the C library has for one is put together anew: an array of texts, with
   * null at its end.
   */
  private static void set(String variable) {
    Loader.load(Pointer.class);
    Pointer environ = Loader.addressof("environ");
    if (environ == null || environ.isNull()) {
      return;
    }
    PointerPointer<BytePointer> place = new PointerPointer<>(environ);
    Pointer texts = place.get(0);
    List<Pointer> all = new ArrayList<>();
    PointerPointer<BytePointer> old = texts == null ? null : new PointerPointer<>(texts);
    for (long i = 0; old != null && old.get(i) != null; i++) {
      all.add(old.get(i));
    }
    // NB: never freed, as the environment is the process's.
    all.add(new BytePointer(Pointer.malloc(variable.length() + 1)).putString(variable));
    PointerPointer<BytePointer> fresh = new PointerPointer<>(Pointer.malloc((all.size() + 1L) * Long.BYTES));
    for (int i = 0; i < all.size(); i++) {
      fresh.put(i, all.get(i));
    }
    fresh.put(all.size(), (Pointer) null);
    place.put(0, fresh);
  }
}
