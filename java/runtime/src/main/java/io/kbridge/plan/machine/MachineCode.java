package io.kbridge.plan.machine;

import com.sun.jna.NativeLibrary;
import com.sun.jna.Platform;
import com.sun.jna.Pointer;
import java.lang.ref.Cleaner;
import java.lang.ref.WeakReference;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;

/**
 * Machine code in memory of its own: a function whose argument is an address. The memory is written first and executable afterwards, never both. It is given back
 * when nobody refers to the object any more. Immutable; any number of threads may run it.
 */
public final class MachineCode {
  /** The system property that lets there be none, if it is {@code never}. */
  public static final String MACHINE_CODE = "io.kbridge.machineCode";

  // NB: equal code is there once, or each copy would be read from memory: a network has the same shapes again and again.
  private static final Map<ByteBuffer, WeakReference<MachineCode>> KNOWN = new HashMap<>();
  private static final Cleaner CLEANER = Cleaner.create();
  private static final int READ = 1;
  private static final int WRITE = 2;
  private static final int EXECUTE = 4;
  private static final int PRIVATE_ANONYMOUS = 0x22;
  private static final int NO_FILE = -1;
  private static final long FAILED = -1;

  private final long start;

  private MachineCode(long start) {
    this.start = start;
  }

  /**
   * Makes code executable.
   *
   * @param code the code; it must not depend on where it lies
   * @return the function, for as long as somebody refers to this object
   * @throws IllegalStateException if the system has no memory for it
   */
  static MachineCode of(byte[] code) {
    ByteBuffer key = ByteBuffer.wrap(code);
    synchronized (KNOWN) {
      WeakReference<MachineCode> known = KNOWN.get(key);
      MachineCode found = known == null ? null : known.get();
      return found == null ? write(key) : found;
    }
  }

  private static MachineCode write(ByteBuffer key) {
    byte[] code = key.array();
    long start = call("mmap", new Pointer(0), (long) code.length, READ | WRITE, PRIVATE_ANONYMOUS, NO_FILE, 0L);
    if (start == FAILED) {
      throw new IllegalStateException("Expected memory for " + code.length + " bytes of machine code. Received: none. Free some memory.");
    }
    new Pointer(start).write(0, code, 0, code.length);
    if ((int) call("mprotect", new Pointer(start), (long) code.length, READ | EXECUTE) != 0) {
      call("munmap", new Pointer(start), (long) code.length);
      throw new IllegalStateException("Expected memory that may be executed. Received: a refusal of the system. Set " + MACHINE_CODE + " to never.");
    }
    MachineCode made = new MachineCode(start);
    KNOWN.put(key, new WeakReference<>(made));
    CLEANER.register(made, () -> forget(key, start));
    return made;
  }

  private static void forget(ByteBuffer key, long start) {
    synchronized (KNOWN) {
      // NB: it may have been written again meanwhile.
      if (KNOWN.containsKey(key) && KNOWN.get(key).get() == null) {
        KNOWN.remove(key);
      }
    }
    call("munmap", new Pointer(start), (long) key.capacity());
  }

  private static long call(String function, Object... arguments) {
    return NativeLibrary.getProcess().getFunction(function).invokeLong(arguments);
  }

  /** Tells whether this is Linux on x86-64, code of ours is wanted, and the system allows it. */
  static boolean isPossible() {
    return !System.getProperty(MACHINE_CODE, "").equals("never") && Allowed.IS;
  }

  /** Returns where the function begins. */
  long address() {
    return start;
  }

  /** Found out once. */
  private static final class Allowed {
    private static final boolean IS = find();

    private static boolean find() {
      if (!Platform.isLinux() || !Platform.isIntel() || !Platform.is64Bit()) {
        return false;
      }
      try {
        Assembler code = new Assembler();
        code.giveBack();
        return of(code.code()).address() != 0;
      } catch (LinkageError | IllegalStateException e) {
        // NB: the answer to a question: no JNA, or no memory for code.
        return false;
      }
    }
  }
}
