package io.kbridge.plan.onednn;

import static org.bytedeco.dnnl.global.dnnl.DNNL_ARG_SCRATCHPAD;

import io.kbridge.plan.NativeArrays;
import io.kbridge.plan.OpContext;
import io.kbridge.plan.Step;
import org.bytedeco.dnnl.IntMemoryMap;
import org.bytedeco.dnnl.memory;
import org.bytedeco.dnnl.primitive;
import org.bytedeco.dnnl.primitive_desc_base;
import org.bytedeco.javacpp.Pointer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.ndarray.INDArray;

/** A primitive and what it is called with, bound once; then a step. */
final class Call {
  private final OneDnnSession session;
  private final primitive primitive;
  private final String implementation;
  private final IntMemoryMap arguments;

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
    this.arguments = session.own(new IntMemoryMap());
  }

  /** Binds an array of the plan, or a constant one. */
  Call arg(int argument, memory.desc desc, INDArray array) {
    Pointer start = session.own(NativeArrays.borrowed(array));
    return arg(argument, session.own(new memory(desc, OneDnn.cpu(), start)));
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
    return new PrimitiveStep(session, primitive, arguments, implementation);
  }
}
