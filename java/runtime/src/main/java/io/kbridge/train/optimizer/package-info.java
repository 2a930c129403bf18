/**
 * Keras's optimizers, by Keras's formulas and in its order of operations, in float32.
 *
 * <p>An update is no part of the graph: as operations, each would pass over all weights and all state. {@link
 * io.kbridge.train.optimizer.Optimizer#apply} takes the gradients where the plan left them, and goes once over weights, gradients and state in
 * blocks that stay in the processor's cache, on all cores: clipping, weight decay, the update and the moving average happen to a block before
 * the next is read.
 *
 * <p>To add an optimizer or a schedule: one {@link io.kbridge.train.optimizer.UpdateRule} or {@link io.kbridge.train.optimizer.Schedule},
 * registered by its Keras class name in an {@link io.kbridge.train.optimizer.OptimizerFamily}, and one parity case.
 */
package io.kbridge.train.optimizer;
