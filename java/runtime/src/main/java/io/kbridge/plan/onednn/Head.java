package io.kbridge.plan.onednn;

import io.kbridge.plan.OpMapping;

/** Finds the primitive for the chains that begin with some op. */
@FunctionalInterface
interface Head {
  /**
   * Finds the primitive.
   *
   * @param site the chain
   * @return what compiles it, or null to decline
   */
  OpMapping lower(Site site);
}
