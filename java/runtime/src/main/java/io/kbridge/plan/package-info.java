/**
 * Plans: a graph compiled, for one set of input shapes, into a list of steps over memory that is set aside once. Mappings from ops
 * to steps are found with {@link java.util.ServiceLoader}; see {@link io.kbridge.plan.OpMappings}.
 */
package io.kbridge.plan;
