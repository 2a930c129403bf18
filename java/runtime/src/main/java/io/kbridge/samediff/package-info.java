/**
 * Says a bundle's graph as a {@link org.nd4j.autodiff.samediff.SameDiff}: one mapping per operation, of operations that SameDiff has right. An exit
 * for code that wants that class; kbridge itself computes with plans.
 */
package io.kbridge.samediff;
