package io.kbridge.plan.machine;

import com.sun.jna.Native;
import com.sun.jna.NativeLibrary;

/**
 * Calls machine code in the thread that asks for it. JNA calls functions of libraries fast, and addresses slowly; so a function of the C library that calls another one
 * makes the call: a search of one element, which compares the key with it once.
 */
final class Caller {
  static {
    Native.register(Caller.class, NativeLibrary.getProcess());
  }

  private Caller() {}

  /**
   * Calls a function.
   *
   * @param function its address
   * @param argument what it is called with
   */
  static void call(long function, long argument) {
    bsearch(argument, argument, 1, 1, function);
  }

  private static native long bsearch(long key, long base, long count, long size, long comparison);
}
