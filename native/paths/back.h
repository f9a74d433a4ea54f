// Back-propagation through time over a tape of sources and factors.
#pragma once

#include "paths/forward.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

struct GoingBack {
  // From the errors of one step's state (x.error_y, x.error_s): the errors net [U] of its net
  // inputs, then the errors of the state before. e_net = J_net' e, e(t-1) = J_state' e. `weights`
  // [from, to] are the recurrent ones that the step used.
  static void through_step(const Plan& p, const PathPlan& x, const Factors& f, const vec* weights,
                           vec* net) {
    vec* const e_y = x.error_y;
    by_net(p, x, f, net);
    if (!p.shape.recurrent) {
      clear(e_y, p.U);
      return;
    }
    in_blocks<8>(p.U, [&]<int Count>(Index first) {
      vec sum[Count] = {};
      for (Index k = 0; k < p.U; ++k)
        for (int i = 0; i < Count; ++i) sum[i] += weights[(first + i) * p.U + k] * net[k];
      for (int i = 0; i < Count; ++i) e_y[first + i] = sum[i];
    });
  }

  static const vec* recurrent(const Plan& p) { return p.hidden_w + p.dense_inputs * p.U; }

  // The first half: errors of net inputs. x.error_s becomes the error of the cell states before.
  static void by_net(const Plan& p, const PathPlan& x, const Factors& f, vec* net) {
    for (Index u = 0; u < p.U; ++u) net[u] = f.rate[u] * x.error_y[u];
    if (p.shape.memory()) through_cells(p, f, x.error_y, x.error_s, net);
  }

  // Adds the products of `steps` steps to the gradient. The first step is in slot `from`.
  static void add_steps(Plan& p, const PathPlan& x, Index from, Index steps, ivec lanes) {
    vec* const now = p.sources;
    p.sources = x.sources + from * p.n_sources;
    add_products(p, Sums{p.hidden_g, p.hidden_gb, p.U, x.spread, p.U, lanes}, steps);
    p.sources = now;
  }

 private:
  static void through_cells(const Plan& p, const Factors& f, const vec* e_y, vec* e_s, vec* net) {
    const Index first = p.shape.first_cell(), outs = first + p.C;
    for (Index j = 0, c = 0; j < p.blocks; ++j)
      for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
        const vec e = e_s[c] + f.through[c] * e_y[first + c];
        net[first + c] = f.cell[c] * e;
        net[j] += f.in[c] * e;
        if (p.shape.forget_gate) net[p.blocks + j] += f.forget[c] * e;
        if (p.shape.output_gate) net[outs + j] += f.show[c] * e_y[first + c];
        e_s[c] = f.keep[c] * e;
      }
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
