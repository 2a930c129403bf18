/** Machine code that is written while a plan is compiled: an assembler, products of matrices, and the transforms of
 * Winograd's algorithm. */
package io.kbridge.plan.machine;
