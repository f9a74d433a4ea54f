// The sensitivities of real-time recurrent learning.
//
// The sensitivity of the weight from source m into unit u is a column of n numbers: the derivatives
// of the full state by the weight. Columns are independent, so each tile of columns is read,
// multiplied and written once per step.
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

struct Sensitivities {
  // p(t) = J_state p(t-1) + J_net, where J are the Jacobians of the step.
  static void advance(const Plan& p, const PathPlan& x, Index k, const Factors& f, ivec symbol) {
    if (!p.shape.memory()) return advance_one(p, x, k, f, symbol);
    Index m = 0, u = 0;  // of the next column that gets its immediate part
    in_blocks<PathPlan::kTile>(x.S * p.U, [&]<int Count>(Index first) {
      vec* const columns = x.p + first * x.n;
      net_inputs<Count>(p, x, columns);
      for (int i = 0; i < Count; ++i) {
        x.nets[u * PathPlan::kTile + i] += source_of(p, x, k, m, symbol);
        if (++u == p.U) u = 0, ++m;
      }
      for (int i = 0; i < Count; ++i) through_cells(p, x, f, columns + i * x.n, i);
    });
  }

  // Adds the gradient of an error [C] of the units that outputs read to weights or gradients.
  static void learn(const Plan& p, const PathPlan& x, const vec* error, vec scale, ivec lanes) {
    const Index dense = x.S - 1 - x.inputs, bias = (x.S - 1) * p.U;
    const bool sums = p.accumulate;
    learn_some(p, x, error, 0, x.inputs * p.U, sums ? p.symbol_g : p.symbol_w, scale,
               p.at_once(p.symbol_f), lanes);
    learn_some(p, x, error, x.inputs * p.U, dense * p.U, sums ? p.hidden_g : p.hidden_w, scale,
               p.at_once(p.hidden_f), lanes);
    vec* const biases = sums ? p.hidden_gb : p.hidden_b;
    const vec* const factors = p.at_once(p.hidden_fb);
    for (Index u = 0; u < p.U; ++u)
      if (p.shape.biased(u))
        learn_some(p, x, error, bias + u, 1, biases + u, scale, factors ? factors + u : nullptr,
                   lanes);
  }

 private:
  // The same for `count` columns of sensitivities and as many weights.
  static void learn_some(const Plan& p, const PathPlan& x, const vec* error, Index from,
                         Index count, vec* into, vec scale, const vec* factors, ivec lanes) {
    const Index n = x.n, cells = p.C, skipped = p.shape.first_cell();
    const vec* columns = x.p + from * n + skipped;
    in_blocks<8>(count, [&]<int Count>(Index first) {
      const vec* column = columns + first * n;
      vec sum[Count] = {};
      for (Index c = 0; c < cells; ++c)
        for (int i = 0; i < Count; ++i) sum[i] = fma(error[c], column[i * n + c], sum[i]);
      for (int i = 0; i < Count; ++i)
        change(lanes, into[first + i], scale, factors, first + i, sum[i]);
    });
  }

  // The same for a single simple unit. Several move by chunks; see chunked.h.
  static void advance_one(const Plan& p, const PathPlan& x, Index k, const Factors& f,
                          ivec symbol) {
    const vec rate = f.rate[0];
    const vec keep = rate * p.hidden_w[p.dense_inputs];
    vec* const columns = x.p;
    for (Index m = 0; m < x.S; ++m) columns[m] *= keep;
    const vec* const source = p.sources + k * p.n_sources;
    for (Index m = x.inputs; m < x.S - 1; ++m) columns[m] += rate * source[m - x.inputs];
    columns[x.S - 1] += rate;
    for (int lane = 0; x.inputs && lane < V; ++lane)
      if (symbol[lane] >= 0) columns[symbol[lane]][lane] += rate[lane];
  }

 protected:
  // dnet = W_recurrent dy(t-1).
  template <int Count>
  static void net_inputs(const Plan& p, const PathPlan& x, const vec* columns) {
    const vec* weights = p.hidden_w + p.dense_inputs * p.U;
    in_blocks<kAccumulators / PathPlan::kTile>(p.U, [&]<int Units>(Index q) {
      vec sum[Units][Count] = {};
      for (Index m = 0; m < p.n_fed; ++m) {
        vec dy[Count];
        for (int i = 0; i < Count; ++i) dy[i] = columns[i * x.n + p.fed[m]];
        const vec* w = weights + m * p.U + q;
        for (int j = 0; j < Units; ++j)
          for (int i = 0; i < Count; ++i) sum[j][i] += w[j] * dy[i];
      }
      for (int j = 0; j < Units; ++j)
        for (int i = 0; i < Count; ++i) x.nets[(q + j) * PathPlan::kTile + i] = sum[j][i];
    });
  }

  static void through_cells(const Plan& p, const PathPlan& x, const Factors& f, vec* column,
                            int i) {
    const auto net = [&](Index u) { return x.nets[u * PathPlan::kTile + i]; };
    const Index first = p.shape.first_cell(), outs = first + p.C;
    vec* const ds = column + p.U;
    for (Index u = 0; u < first; ++u) column[u] = f.rate[u] * net(u);
    for (Index u = outs; u < p.U; ++u) column[u] = f.rate[u] * net(u);
    for (Index j = 0, c = 0; j < p.blocks; ++j)
      for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
        vec sum = f.keep[c] * ds[c] + f.in[c] * net(j) + f.cell[c] * net(first + c);
        if (p.shape.forget_gate) sum += f.forget[c] * net(p.blocks + j);
        ds[c] = sum;
        vec dy = f.through[c] * sum;
        if (p.shape.output_gate) dy += f.show[c] * net(outs + j);
        column[first + c] = dy;
      }
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
