/**
 * Control flow: nodes that run graphs of their own, once per step of a loop or by choice. They move memory and compute nothing, so they
 * serve every engine; docs/bundle-format.md, section 8, says what each means.
 */
package io.kbridge.plan.control;
