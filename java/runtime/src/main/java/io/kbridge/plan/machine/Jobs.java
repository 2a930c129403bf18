package io.kbridge.plan.machine;

import static io.kbridge.plan.machine.Assembler.R12;
import static io.kbridge.plan.machine.Assembler.R14;
import static io.kbridge.plan.machine.Assembler.RAX;
import static io.kbridge.plan.machine.Assembler.RBP;
import static io.kbridge.plan.machine.Assembler.RBX;
import static io.kbridge.plan.machine.Assembler.RDI;
import static io.kbridge.plan.machine.Assembler.RSP;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.lang.ref.Reference;
import java.util.ArrayList;
import java.util.List;

/**
 * Functions that the threads of OpenMP call, each thread the list of its own. No thread waits for another before all are done. Not thread safe.
 */
public final class Jobs {
  // Offsets of what the code below reads: two functions of OpenMP, how many lists there are, then for each where it is and how many jobs it has.
  private static final int THREAD_NUMBER = 0;
  private static final int THREAD_COUNT = 8;
  private static final int LISTS = 16;
  private static final int LIST = 24;
  private static final int COUNT = 32;
  private static final int LIST_BYTES = 16;
  // Of a job: the function, and what it is called with.
  private static final int JOB_BYTES = 16;
  // What general registers hold.
  private static final int DATA = RBX;
  private static final int PART = R14;
  private static final int JOB = RBP;
  private static final int JOBS_LEFT = R12;
  private static final int[] SAVED = {RBX, RBP, R12, R14};
  // On the stack: which list is next, and how many threads there are. With what is saved it keeps the stack's alignment of 16 bytes.
  private static final int NUMBER = 0;
  private static final int THREADS = 8;
  private static final int STACK = 24;

  private final MachineCode code;
  private final List<List<Job>> lists = new ArrayList<>();
  private Memory data;
  private Memory jobs;

  /**
   * Starts without any.
   *
   * @param threads how many threads share them out
   */
  public Jobs(int threads) {
    this.code = MachineCode.of(write());
    for (int i = 0; i < threads; i++) {
      lists.add(new ArrayList<>());
    }
  }

  /**
   * Tells whether there can be code of ours.
   *
   * @return true on Linux on x86-64, if native code uses GNU's OpenMP, and the system lets us have memory for code; whether the processor has AVX-512 is not
   *     looked at
   */
  public static boolean isPossible() {
    return MachineCode.isPossible() && Gomp.isThere();
  }

  /**
   * Adds a job behind those that a thread has.
   *
   * @param thread which thread
   * @param function what it calls
   * @param arguments what with; may be changed between runs
   * @param owners what owns memory that the arguments name
   */
  void add(int thread, MachineCode function, Pointer arguments, Object... owners) {
    lists.get(thread).add(new Job(function, arguments, owners));
    data = null;
  }

  /** Lets the threads do all of it; returns when they are done. */
  public void run() {
    if (data == null) {
      lay();
    }
    Gomp.GOMP_parallel(code.address(), Pointer.nativeValue(data), lists.size(), 0);
    // NB: or code and arguments might be given back while they are used.
    Reference.reachabilityFence(this);
  }

  /** Writes down what the code reads. */
  private void lay() {
    data = new Memory(LIST + (long) lists.size() * LIST_BYTES);
    jobs = new Memory(Math.max(1, lists.stream().mapToInt(List::size).sum()) * JOB_BYTES);
    data.setLong(THREAD_NUMBER, Gomp.function("omp_get_thread_num"));
    data.setLong(THREAD_COUNT, Gomp.function("omp_get_num_threads"));
    data.setLong(LISTS, lists.size());
    long at = 0;
    for (int i = 0; i < lists.size(); i++) {
      data.setLong(LIST + (long) i * LIST_BYTES, Pointer.nativeValue(jobs) + at);
      data.setLong(COUNT + (long) i * LIST_BYTES, lists.get(i).size());
      for (Job job : lists.get(i)) {
        jobs.setLong(at, job.function.address());
        jobs.setLong(at + Long.BYTES, Pointer.nativeValue(job.arguments));
        at += JOB_BYTES;
      }
    }
  }

  /** Writes what each thread runs: there may be fewer than there are lists, then they take several each. */
  private static byte[] write() {
    Assembler code = new Assembler();
    for (int register : SAVED) {
      code.push(register);
    }
    code.add(RSP, -STACK);
    code.move(DATA, RDI);
    ask(code, THREAD_NUMBER, NUMBER);
    ask(code, THREAD_COUNT, THREADS);
    Assembler.Label end = new Assembler.Label();
    Assembler.Label list = code.here();
    code.read(RAX, RSP, NUMBER);
    code.compare(RAX, DATA, LISTS);
    code.jumpUnlessBelow(end);
    list(code);
    code.read(RAX, RSP, NUMBER);
    code.addNumber(RAX, RSP, THREADS);
    code.write(RSP, NUMBER, RAX);
    code.jump(list);
    code.place(end);
    code.add(RSP, STACK);
    for (int i = SAVED.length - 1; i >= 0; i--) {
      code.pop(SAVED[i]);
    }
    code.giveBack();
    return code.code();
  }

  /** Calls one of OpenMP's functions, and keeps what it gives. */
  private static void ask(Assembler code, int function, int kept) {
    code.call(DATA, function);
    code.keepInt(RAX);
    code.write(RSP, kept, RAX);
  }

  private static void list(Assembler code) {
    Assembler.Label none = new Assembler.Label();
    code.move(PART, RAX);
    code.multiply(PART, LIST_BYTES);
    code.addRegister(PART, DATA);
    code.read(JOBS_LEFT, PART, COUNT);
    code.compare(JOBS_LEFT, 0);
    code.jumpIfEqual(none);
    code.read(JOB, PART, LIST);
    Assembler.Label job = code.here();
    code.read(RDI, JOB, Long.BYTES);
    code.call(JOB, 0);
    code.add(JOB, JOB_BYTES);
    code.decrement(JOBS_LEFT);
    code.jumpUnlessEqual(job);
    code.place(none);
  }

  /** A function, and what it is called with. */
  private static final class Job {
    private final MachineCode function;
    private final Pointer arguments;
    // NB: kept for as long as code may read their memory, which is given back when nobody refers to them.
    private final Object[] owners;

    Job(MachineCode function, Pointer arguments, Object... owners) {
      this.function = function;
      this.arguments = arguments;
      this.owners = owners;
    }
  }
}
