package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_DST;
import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SCRATCHPAD;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.Step;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.dnnl.IntMemoryMap;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive;
import org.bytedeco.dnnl.primitive_desc_base;
import org.bytedeco.dnnl.rnn_primitive_desc_base;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A primitive and what it is called with, bound once; then a step. */
final class Call {
  /** For tests: slow reference code is an error. oneDNN calls its recurrent primitives so, which are made of fast products. */
  private static final boolean REFUSE_REFERENCE = Boolean.getBoolean("io.kbridge.onednn.refuseReference");

  private final OneDnnSession session;
  private final primitive primitive;
  private final String implementation;
  private final IntMemoryMap arguments;
  private final List<Step> before = new ArrayList<>();
  private final List<Step> after = new ArrayList<>();

  /**
   * Starts a call.
   *
   * @param session owns everything native
   * @param description what was asked for
   * @param primitive the primitive made from it
   */
  Call(OneDnnSession session, primitive_desc_base description, primitive primitive) {
    this.session = session;
    this.primitive = session.own(primitive);
    this.implementation = OneDnn.implementation(description);
    if (REFUSE_REFERENCE && implementation.contains("ref") && !(description instanceof rnn_primitive_desc_base)) {
      throw new IllegalStateException("Expected fast code of oneDNN. Received: " + implementation + ". Leave such a node to ND4J.");
    }
    this.arguments = session.own(new IntMemoryMap());
  }

  /** Binds an array of the plan, or a constant one. */
  Call arg(int argument, memory.desc desc, INDArray array) {
    Pointer start = session.own(NativeArrays.borrowed(array));
    return arg(argument, session.own(new memory(desc, OneDnn.cpu(), start)));
  }

  /**
   * Binds an array that the primitive reads, in the layout it wants; an array that lies in another order is put into that one first.
   *
   * @param context gives memory for that
   * @param site knows in which order values lie
   * @param argument which argument
   * @param layout the layout wanted of an operand of this shape
   * @param value the array's name, or null if it is not in blocks
   * @param array the array
   * @return this
   */
  Call read(OpContext context, Site site, int argument, Layout layout, String value, INDArray array) {
    boolean isBlocked = value != null && site.session().isBlocked(value);
    Numbers stored = value == null ? Numbers.FLOAT : site.session().numbers(value);
    boolean wantsBlocked = layout.reorders(array.shape());
    memory.desc wanted = session.own(layout.desc(array.shape()));
    if (isBlocked == wantsBlocked && stored.isLike(layout.numbers())) {
      return arg(argument, wanted, array);
    }
    INDArray copy = context.scratch(DataType.FLOAT, array.shape());
    Layout lies = isBlocked == wantsBlocked ? layout : Layout.spatial(array.shape(), true).blocked(isBlocked);
    memory.desc given = session.own(lies.stored(stored).desc(array.shape()));
    before.add(Reorder.of(session, given, array, wanted, copy, stored.step() / layout.numbers().step()));
    return arg(argument, wanted, copy);
  }

  /**
   * Binds the array that the primitive writes.
   *
   * @param context gives memory
   * @param site knows in which order the result is to lie
   * @param layout the layout in which the primitive writes it
   * @param result the array
   * @return this
   */
  Call write(OpContext context, Site site, Layout layout, INDArray result) {
    boolean isBlocked = site.session().isBlocked(site.result());
    Numbers stored = site.session().numbers(site.result());
    memory.desc written = session.own(layout.desc());
    if (isBlocked == layout.reorders(layout.shape()) && stored.isLike(layout.numbers())) {
      return arg(DNNL_ARG_DST, written, result);
    }
    INDArray copy = context.scratch(DataType.FLOAT, layout.shape());
    Layout lies = isBlocked == layout.reorders(layout.shape()) ? layout : Layout.spatial(layout.shape(), true).blocked(isBlocked);
    memory.desc wanted = session.own(lies.stored(stored).desc());
    after.add(Reorder.of(session, written, copy, wanted, result, layout.numbers().step() / stored.step()));
    return arg(DNNL_ARG_DST, written, copy);
  }

  /** Does something before. */
  void first(Step step) {
    before.add(step);
  }

  /** Does something after. */
  void last(Step step) {
    after.add(step);
  }

  /** Binds memory that somebody else owns. */
  Call arg(int argument, memory memory) {
    arguments.put(argument, memory);
    return this;
  }

  /** Binds the scratch memory the primitive needs, if any. */
  Call scratch(OpContext context, primitive_desc_base description) {
    memory.desc desc = session.own(description.scratchpad_desc());
    if (desc.get_size() > 0) {
      arg(DNNL_ARG_SCRATCHPAD, desc, context.scratch(DataType.INT8, desc.get_size()));
    }
    return this;
  }

  /** Makes the step. */
  Step step() {
    PrimitiveStep step = new PrimitiveStep(session, primitive, arguments, implementation);
    return before.isEmpty() && after.isEmpty() ? step : new StepGroup(before, step, after);
  }
}
