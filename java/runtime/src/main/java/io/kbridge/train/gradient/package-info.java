/**
 * Gradients: reverse-mode differentiation of a graph with known sizes. Each op has a {@link io.kbridge.train.gradient.GradientRule}, and
 * {@link io.kbridge.train.gradient.Backward} applies them from the loss back to the weights.
 */
package io.kbridge.train.gradient;
