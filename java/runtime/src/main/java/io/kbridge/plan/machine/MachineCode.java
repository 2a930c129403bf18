package io.kbridge.plan.machine;

import com.sun.jna.Function;
import com.sun.jna.NativeLibrary;
import com.sun.jna.Platform;
import com.sun.jna.Pointer;

/**
 * Machine code in memory of its own: a function whose argument is an address. The memory is written first and executable afterwards, never both. Immutable;
 * any number of threads may run it.
 */
public final class MachineCode implements AutoCloseable {
  private static final int READ = 1;
  private static final int WRITE = 2;
  private static final int EXECUTE = 4;
  private static final int PRIVATE_ANONYMOUS = 0x22;
  private static final int NO_FILE = -1;

  private final long start;
  private final long bytes;

  private MachineCode(long start, long bytes) {
    this.start = start;
    this.bytes = bytes;
  }

  /**
   * Makes code executable.
   *
   * @param code the code; it must not depend on where it lies
   * @return the function, or null where the system lets nobody do that
   */
  public static MachineCode of(byte[] code) {
    if (!isPossible()) {
      return null;
    }
    NativeLibrary system = NativeLibrary.getProcess();
    long start =
        system.getFunction("mmap").invokeLong(new Object[] {new Pointer(0), (long) code.length, READ | WRITE, PRIVATE_ANONYMOUS, NO_FILE, 0L});
    if (start == -1) {
      return null;
    }
    MachineCode made = new MachineCode(start, code.length);
    new Pointer(start).write(0, code, 0, code.length);
    if (system.getFunction("mprotect").invokeInt(new Object[] {new Pointer(start), (long) code.length, READ | EXECUTE}) != 0) {
      made.close();
      return null;
    }
    return made;
  }

  /**
   * Tells whether this is a system whose code we write.
   *
   * @return true on Linux on x86-64
   */
  public static boolean isPossible() {
    return Platform.isLinux() && Platform.isIntel() && Platform.is64Bit();
  }

  /**
   * Returns where the function begins.
   *
   * @return the address
   */
  public long address() {
    return start;
  }

  /** Gives the memory back. Nobody may run the code any more. */
  @Override
  public void close() {
    NativeLibrary.getProcess().getFunction("munmap").invokeInt(new Object[] {new Pointer(start), bytes});
  }
}
