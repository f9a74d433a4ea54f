// The traces of the truncated gradient with forget gates, at a cost of O(1) per weight and step.
#pragma once

#include "paths/sensitivities.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Traces ds/dw of input gates, forget gates and cells; see kernels/reference/truncated.py.
struct Traces {
  static void advance(const Plan& p, const PathPlan& x, Index k, const Factors& f,
                      ivec symbol) {
    for (Index m = 0; m < x.S; ++m) {
      const vec z = source_of(p, x, k, m, symbol);
      vec* const trace = x.trace + m * 3 * p.C;
      for (Index c = 0; c < p.C; ++c) {
        const vec keep = f.keep[c];
        trace[c] = fma(f.in[c], z, keep * trace[c]);
        trace[p.C + c] = fma(f.forget[c], z, keep * trace[p.C + c]);
        trace[2 * p.C + c] = fma(f.cell[c], z, keep * trace[2 * p.C + c]);
      }
    }
  }

  static void learn(const Plan& p, const PathPlan& x, Index k, const Factors& f, vec scale,
                    ivec lanes, ivec symbol) {
    const Index first = p.shape.first_cell(), outs = first + p.C, size = p.shape.block_size;
    for (Index m = 0; m < x.S; ++m) {
      vec* const into = p.accumulate ? x.gradients(p, m) : x.weights(p, m);
      const vec* trace = x.trace + m * 3 * p.C;
      const vec z = source_of(p, x, k, m, symbol);
      const vec* factors = p.at_once(x.rate_factors(p, m));
      const Groups groups = x.is_bias(m) ? p.shape.biased_groups : kAllGroups;
      const auto learn = [&](Group group, Index u, vec by) {
        if (groups.has(group)) change(lanes, into[u], scale, factors, u, by);
      };
      for (Index j = 0, c = 0; j < p.blocks; ++j) {
        vec in = splat(0.0f), forget = in, out = in;
        for (Index v = 0; v < size; ++v, ++c) {
          const vec e = f.through[c] * p.back[c];
          in = fma(e, trace[c], in);
          forget = fma(e, trace[p.C + c], forget);
          out = fma(f.show[c], p.back[c], out);
          learn(Group::cells, first + c, e * trace[2 * p.C + c]);
        }
        learn(Group::input_gates, j, in);
        if (p.shape.forget_gate) learn(Group::forget_gates, p.blocks + j, forget);
        if (p.shape.output_gate) learn(Group::output_gates, outs + j, out * z);
      }
    }
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
