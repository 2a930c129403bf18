/** Passes over the nodes of a graph that find what can be computed together. They look at nothing but the graph. */
package io.kbridge.plan.fuse;
