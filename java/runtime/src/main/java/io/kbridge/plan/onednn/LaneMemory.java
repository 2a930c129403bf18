package io.kbridge.plan.onednn;

import io.kbridge.plan.OpContext;
import java.nio.FloatBuffer;
import java.util.Map;
import org.nd4j.linalg.api.ndarray.INDArray;

/** Where the registers of a lane are, and what computes its steps. Rows of a register are one after the other. */
interface LaneMemory {
  /**
   * Gives everything its memory, before anything else.
   *
   * @param context gives it
   * @param sources where what products multiply at each step is read, by its register
   */
  void allocate(OpContext context, Map<Register, INDArray> sources);

  /**
   * Computes a step.
   *
   * @param position which step of the sequence
   * @param slot which of those that the sequence was multiplied for at once
   */
  void run(int position, int slot);

  /** Fills a register, from where a buffer is. */
  void set(Register register, FloatBuffer from);

  /** Copies some rows of a register to where a buffer is. */
  void get(Register register, int row, int rows, FloatBuffer to);

  /** Copies a register, if the other one is not in the same place. */
  void copy(Register from, Register to);

  /** Names what computes steps, beside oneDNN. */
  String implementation();
}
