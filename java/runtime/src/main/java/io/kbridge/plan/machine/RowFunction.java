package io.kbridge.plan.machine;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.lang.ref.Reference;

/** A {@link RowProgram} with its arrays, ready to run. Immutable, but not to be run by two threads at once, whose arrays would be the same. */
public final class RowFunction {
  private final MachineCode code;
  private final Memory arguments;
  private final Object[] owners;

  /**
   * Compiles a program.
   *
   * @param program the program; {@link RowProgram#isPossible} holds
   * @param addresses where each array's first row begins
   * @param owners what owns memory that the addresses name
   */
  public RowFunction(RowProgram program, long[] addresses, Object... owners) {
    this.code = MachineCode.of(RowCode.write(program));
    this.arguments = RowCode.arguments(addresses);
    this.owners = owners;
  }

  /** Computes it, in the thread that asks. */
  public void run() {
    Caller.call(code.address(), Pointer.nativeValue(arguments));
    // NB: or code and arguments might be given back while they are used.
    Reference.reachabilityFence(this);
  }
}
