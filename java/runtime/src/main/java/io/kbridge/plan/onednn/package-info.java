/**
 * The engine that computes with oneDNN: chains of nodes as one primitive each, over the plan's own memory. What oneDNN has no fast
 * implementation for is declined and left to ND4J.
 */
package io.kbridge.plan.onednn;
