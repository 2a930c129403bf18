/** The graph of a model as the bundle's spec gives it: nodes, attributes, values. It knows nothing of how a node is computed. */
package io.kbridge.graph;
