package io.kbridge.plan.onednn;

import io.kbridge.plan.Step;
import org.bytedeco.dnnl.IntMemoryMap;
import org.bytedeco.dnnl.primitive;
import org.bytedeco.dnnl.stream;

/** Executes a primitive. On a CPU the call returns when the result is there. */
final class PrimitiveStep implements Step {
  private final stream stream;
  private final primitive primitive;
  private final IntMemoryMap arguments;
  private final String implementation;

  PrimitiveStep(OneDnnSession session, primitive primitive, IntMemoryMap arguments, String implementation) {
    this.stream = session.stream();
    this.primitive = primitive;
    this.arguments = arguments;
    this.implementation = implementation;
  }

  @Override
  public void run() {
    primitive.execute(stream, arguments);
  }

  @Override
  public String implementation() {
    return "oneDNN " + implementation;
  }
}
