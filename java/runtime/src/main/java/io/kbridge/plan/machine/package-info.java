/** Machine code that is written while a plan is compiled: an assembler, and products of matrices in its language. */
package io.kbridge.plan.machine;
