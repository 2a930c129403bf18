/**
 * One mapping per op of the Keras vocabulary, made of ND4J operations; the reference engine, and the one for GPUs.
 *
 * <p>A family of ops is one class. Each mapping computes the shape of its output from its inputs, asks for the output once, and
 * puts together a {@link io.kbridge.plan.nd4j.Kernel}: a list of ND4J calls whose arguments are bound when the plan is compiled.
 *
 * <p>ND4J has operations that give wrong numbers, and some that end the process. The javadoc of a mapping says which
 * operation it uses, and why not the obvious one where that one is not right.
 */
package io.kbridge.plan.nd4j;
