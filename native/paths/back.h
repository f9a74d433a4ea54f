// Back-propagation through time over a tape of sources and factors.
#pragma once

#include "paths/forward.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

struct GoingBack {
  // The error by net inputs of one step, from the error by its state; then the error by the state
  // before: e_net = I' e, e(t-1) = D' e.
  static void through_step(const Plan& p, const PathPlan& x, const Factors& f, vec* net) {
    vec* const e_y = x.error_y;
    by_net(p, x, f, net);
    if (!p.shape.recurrent) {
      clear(e_y, p.U);
      return;
    }
    const vec* weights = p.hidden_w + p.dense_inputs * p.U;
    in_blocks<8>(p.U, [&]<int N>(Index first) {
      vec sum[N] = {};
      for (Index k = 0; k < p.U; ++k)
        for (int i = 0; i < N; ++i) sum[i] += weights[(first + i) * p.U + k] * net[k];
      for (int i = 0; i < N; ++i) e_y[first + i] = sum[i];
    });
  }

  // The first half of it; the error by cell states before, inside the cells, is left in error_s.
  static void by_net(const Plan& p, const PathPlan& x, const Factors& f, vec* net) {
    for (Index u = 0; u < p.U; ++u) net[u] = f.rate[u] * x.error_y[u];
    if (p.shape.memory()) through_cells(p, f, x.error_y, x.error_s, net);
  }

  // Adds what `steps` steps, the first of them in slot `from`, give to the gradient.
  static void add_steps(Plan& p, const PathPlan& x, Index from, Index steps, ivec lanes) {
    vec* const now = p.sources;
    p.sources = x.sources + from * p.S;
    add_products(p, Sums{p.hidden_g, p.hidden_gb, p.U, x.spread, p.U, lanes}, steps);
    p.sources = now;
  }

 private:
  static void through_cells(const Plan& p, const Factors& f, const vec* e_y, vec* e_s, vec* net) {
    const Index first = p.shape.first_cell(), outs = first + p.C;
    for (Index j = 0, c = 0; j < p.B; ++j)
      for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
        const vec e = e_s[c] + f.through[c] * e_y[first + c];
        net[first + c] = f.cell[c] * e;
        net[j] += f.in[c] * e;
        if (p.shape.forget_gate) net[p.B + j] += f.forget[c] * e;
        if (p.shape.output_gate) net[outs + j] += f.show[c] * e_y[first + c];
        e_s[c] = f.keep[c] * e;
      }
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
