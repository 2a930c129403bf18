/**
 * Training. A step (forward, loss, gradients, optimizer, state updates) is written as one graph with known sizes by an
 * {@link io.kbridge.train.Emitter} and compiled into one plan.
 */
package io.kbridge.train;
