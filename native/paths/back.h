// Back-propagation through time over a tape of sources and factors.
#pragma once

#include "paths/forward.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

struct GoingBack {
  // From the errors of one step's state, e_y [U] and e_s [C]: the errors net [U] of its net inputs,
  // then the errors of the state before. e_net = J_net' e, e(t-1) = J_state' e. `weights`
  // [n_fed, U] are the recurrent ones that the step used. There are Rows errors: of all arrays, row
  // i is i times `stride` further, and of net i times `apart`.
  template <int Rows = 1>
  static void through_step(const Plan& p, const Factors& f, const vec* weights, vec* e_y, vec* e_s,
                           vec* net, Index stride = 0, Index apart = 0) {
    const Index units = p.U;
    for (int r = 0; r < Rows; ++r)
      by_net(p, f, e_y + r * stride, e_s + r * stride, net + r * apart);
    for (int r = 0; p.n_fed < units && r < Rows; ++r) clear(e_y + r * stride, units);
    in_blocks<Rows == 1 ? 8 : kAccumulators / 4>(p.n_fed, [&]<int Count>(Index first) {
      vec sum[Count][Rows] = {};
      for (Index k = 0; k < units; ++k) {
        vec e[Rows];
        for (int r = 0; r < Rows; ++r) e[r] = net[r * apart + k];
        for (int i = 0; i < Count; ++i) {
          const vec w = weights[(first + i) * units + k];
          for (int r = 0; r < Rows; ++r) sum[i][r] = fma(w, e[r], sum[i][r]);
        }
      }
      for (int i = 0; i < Count; ++i)
        for (int r = 0; r < Rows; ++r) e_y[r * stride + p.fed[first + i]] = sum[i][r];
    });
  }

  static const vec* recurrent(const Plan& p) { return p.hidden_w + p.dense_inputs * p.U; }

  // The first half: errors of net inputs. e_s becomes the error of the cell states before.
  static void by_net(const Plan& p, const Factors& f, const vec* e_y, vec* e_s, vec* net) {
    for (Index u = 0; u < p.U; ++u) net[u] = f.rate[u] * e_y[u];
    if (p.shape.memory()) through_cells(p, f, e_y, e_s, net);
  }

  // Adds the products of `steps` steps to the gradient. The first step is in slot `from`.
  static void add_steps(const Plan& p, const PathPlan& x, Index from, Index steps, ivec lanes) {
    Sums to = gradients(p, x.spread, lanes);
    to.sources = x.sources + from * p.n_sources;
    add_products(p, to, steps);
  }

 private:
  static void through_cells(const Plan& p, const Factors& f, const vec* e_y, vec* e_s, vec* net) {
    const Index first = p.shape.first_cell(), outs = first + p.C;
    for (Index j = 0, c = 0; j < p.blocks; ++j)
      for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
        const vec e = fma(f.through[c], e_y[first + c], e_s[c]);
        net[first + c] = f.cell[c] * e;
        net[j] = fma(f.in[c], e, net[j]);
        if (p.shape.forget_gate) net[p.blocks + j] = fma(f.forget[c], e, net[p.blocks + j]);
        if (p.shape.output_gate) net[outs + j] = fma(f.show[c], e_y[first + c], net[outs + j]);
        e_s[c] = f.keep[c] * e;
      }
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
