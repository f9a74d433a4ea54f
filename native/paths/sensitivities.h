// The sensitivities of real-time recurrent learning: derivatives of the full state by weights.
#pragma once

#include "paths/forward.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// The activation of source m at step k; `symbol` is the one of each lane.
inline vec source_of(const Plan& p, const PathPlan& x, Index k, Index m, ivec symbol) {
  if (m < x.inputs)
    return symbol == isplat(static_cast<std::int32_t>(m)) ? splat(1.0f) : splat(0.0f);
  return x.is_bias(m) ? splat(1.0f) : p.sources[k * p.n_sources + m - x.inputs];
}

// Of a layer of one simple unit. Others move by chunks; see chunked.h.
struct Sensitivities {
  // p(t) = J_state p(t-1) + J_net, where J are the Jacobians of the step.
  static void advance(const Plan& p, const PathPlan& x, Index k, const Factors& f, ivec symbol) {
    const vec rate = f.rate[0];
    const vec keep = p.n_fed ? rate * p.hidden_w[p.dense_inputs] : splat(0.0f);
    vec* const columns = x.p;
    for (Index m = 0; m < x.S; ++m) columns[m] *= keep;
    const vec* const source = p.sources + k * p.n_sources;
    for (Index m = x.inputs; m < x.S - 1; ++m)
      columns[m] = fma(rate, source[m - x.inputs], columns[m]);
    columns[x.S - 1] += rate;
    for (int lane = 0; x.inputs && lane < V; ++lane)
      if (symbol[lane] >= 0) columns[symbol[lane]][lane] += rate[lane];
  }

  // Adds the gradient of the error p.back to weights or gradients.
  static void learn(const Plan& p, const PathPlan& x, vec scale, ivec lanes) {
    for (Index m = 0; m < x.S; ++m) {
      if (x.is_bias(m) && !p.shape.biased(0)) continue;
      vec* const into = p.accumulate ? x.gradients(p, m) : x.weights(p, m);
      change(lanes, *into, scale, p.at_once(x.rate_factors(p, m)), 0, p.back[0] * x.p[m]);
    }
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
