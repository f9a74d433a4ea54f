// Real-time recurrent learning of simple units by chunks of steps (Schmidhuber 1992, "A fixed size
// storage O(n^3) time complexity learning algorithm for fully recurrent continually running
// networks"): the same gradient as in sensitivities.h at about 1/U of its cost.
//
// Sensitivities P are those at the start of a chunk. A tape holds the steps since then, with the
// weights that each step used. An error goes back over the tape to the start, and there meets P. At
// the end of a chunk, with M_k the product of the Jacobians of the steps after k,
//
//   P <- M_0 P + sum_k M_k rate_k x sources_k.
//
// Chunks are counted from the end of the round, where the sequences of all lanes end, so their
// limits do not depend on other lanes.
#pragma once

#include "paths/sensitivities.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

struct Chunked {
  // Keeps what a later pass over step `slot` needs besides its sources and factors.
  static void keep(const Plan& p, const PathPlan& x, Index slot, ivec symbol) {
    x.symbols[slot] = symbol;
    if (p.accumulate) return;  // weights are constant during a sequence
    const vec* weights = recurrent(p);
    vec* const kept = x.kept_w + slot * p.U * p.U;
    for (Index i = 0; i < p.U * p.U; ++i) kept[i] = weights[i];
  }

  // Adds the gradient of the error p.back at the last of `steps` steps to weights or gradients.
  // `carried`: P is not zero.
  static void learn(const Plan& p, const PathPlan& x, Index steps, vec scale, ivec lanes,
                    bool carried) {
    for (Index u = 0; u < p.U; ++u) x.error_y[u] = scale * p.back[u];
    for (Index at = steps - 1; at >= 0; --at) {
      vec* const net = x.spread + at * p.U;
      const vec* const rate = x.factors + at * Factors::count(p);
      for (Index u = 0; u < p.U; ++u) net[u] = rate[u] * x.error_y[u];
      if (at > 0 || carried) times_weights(p, weights_at(p, x, at), net, x.error_y);
    }
    if (p.gathered) add_symbols(p, x, steps, lanes);
    add_steps(p, x, steps, lanes);
    if (carried) Sensitivities::learn(p, x, x.error_y, splat(1.0f), lanes);
  }

  // Moves P to the end of a chunk of `steps` steps.
  static void advance(const Plan& p, const PathPlan& x, Index steps, bool carried) {
    vec *product = x.products, *next = product + p.U * p.U;  // M [from, to]
    for (Index i = 0; i < p.U * p.U; ++i) product[i] = splat(i % (p.U + 1) ? 0.0f : 1.0f);
    for (Index at = steps - 1; at >= 0; --at) {
      const vec* const rate = x.factors + at * Factors::count(p);
      vec* const share = x.shares + at * p.U * p.U;
      for (Index u = 0; u < p.U; ++u)
        for (Index q = 0; q < p.U; ++q) share[u * p.U + q] = product[u * p.U + q] * rate[u];
      if (at == 0 && !carried) break;
      times(p.U, share, weights_at(p, x, at), next);
      vec* const used = product;
      product = next, next = used;
    }
    for (Index m = 0; m < x.S; m += PathPlan::kTile) {
      const Index count = x.S - m < PathPlan::kTile ? x.S - m : PathPlan::kTile;
      for (Index k = 0; k < steps; ++k)
        for (Index i = 0; i < PathPlan::kTile; ++i)
          x.tile[k * PathPlan::kTile + i] =
              i < count ? source_at(p, x, k, m + i) : splat(0.0f);
      for (Index u = 0; u < p.U; ++u) columns(p, x, steps, carried ? product : nullptr, m, count, u);
    }
  }

 private:
  static const vec* recurrent(const Plan& p) { return p.hidden_w + p.dense_inputs * p.U; }
  static const vec* weights_at(const Plan& p, const PathPlan& x, Index slot) {
    return p.accumulate ? recurrent(p) : x.kept_w + slot * p.U * p.U;
  }

  static vec source_at(const Plan& p, const PathPlan& x, Index k, Index m) {
    if (m < x.inputs)
      return x.symbols[k] == isplat(static_cast<std::int32_t>(m)) ? splat(1.0f) : splat(0.0f);
    return x.is_bias(m) ? splat(1.0f) : x.sources[k * p.n_sources + m - x.inputs];
  }

  // error [U] = weights [from, to] net.
  static void times_weights(const Plan& p, const vec* weights, const vec* net, vec* error) {
    const Index units = p.U;
    in_blocks<8>(units, [&]<int Count>(Index first) {
      vec sum[Count] = {};
      for (Index k = 0; k < units; ++k)
        for (int i = 0; i < Count; ++i) sum[i] = fma(weights[(first + i) * units + k], net[k], sum[i]);
      for (int i = 0; i < Count; ++i) error[first + i] = sum[i];
    });
  }

  // to [l, q] = sum_u weights [l, u] share [u, q], all of U by U.
  static void times(Index units, const vec* share, const vec* weights, vec* to) {
    in_blocks<4>(units, [&]<int Rows>(Index l) {
      in_blocks<kAccumulators / 4>(units, [&]<int Columns>(Index q) {
        vec sum[Rows][Columns] = {};
        for (Index u = 0; u < units; ++u)
          for (int i = 0; i < Rows; ++i) {
            const vec w = weights[(l + i) * units + u];
            for (int j = 0; j < Columns; ++j)
              sum[i][j] = fma(w, share[u * units + q + j], sum[i][j]);
          }
        for (int i = 0; i < Rows; ++i)
          for (int j = 0; j < Columns; ++j) to[(l + i) * units + q + j] = sum[i][j];
      });
    });
  }

  // The sensitivities of the weights from sources m to m + count into unit u. `product` is M_0, or
  // null if P was zero.
  static void columns(const Plan& p, const PathPlan& x, Index steps, const vec* product, Index m,
                      Index count, Index u) {
    constexpr Index tile = PathPlan::kTile;
    const Index units = p.U, apart = units * units;  // between columns of neighbouring sources
    vec* const column = x.p + (m * units + u) * units;
    const vec* const share = x.shares + u * units;
    in_blocks<kAccumulators / 4>(units, [&]<int Count>(Index q) {
      vec sum[Count][tile] = {};
      for (Index l = 0; product && l < units; ++l)
        for (Index i = 0; i < count; ++i)
          for (int j = 0; j < Count; ++j)
            sum[j][i] = fma(product[l * units + q + j], column[i * apart + l], sum[j][i]);
      for (Index k = 0; k < steps; ++k)
        for (int j = 0; j < Count; ++j) {
          const vec w = share[k * apart + q + j];
          for (Index i = 0; i < tile; ++i) sum[j][i] = fma(w, x.tile[k * tile + i], sum[j][i]);
        }
      for (int j = 0; j < Count; ++j)
        for (Index i = 0; i < tile; ++i) x.nets[(q + j) * tile + i] = sum[j][i];
    });
    for (Index q = 0; q < units; ++q)
      for (Index i = 0; i < count; ++i) column[i * apart + q] = x.nets[q * tile + i];
  }

  // Adds the products of x.spread and the sources of all steps.
  static void add_steps(const Plan& p, const PathPlan& x, Index steps, ivec lanes) {
    const Sums to{p.accumulate ? p.hidden_g : p.hidden_w, nullptr, p.U, x.sources, x.spread, p.U,
                  isplat(-1), lanes};
    in_blocks<4>(p.U, [&]<int Factors>(Index f0) {
      in_blocks<kAccumulators / 4>(p.n_sources, [&]<int Sources>(Index s0) {
        add_tile<Sources, Factors>(p, to, steps, s0, f0);
      });
    });
    vec* const bias = p.accumulate ? p.hidden_gb : p.hidden_b;
    for (Index u = 0; u < p.U; ++u) {
      if (!p.shape.biased(u)) continue;
      vec sum = bias[u];
      for (Index k = 0; k < steps; ++k) sum += x.spread[k * p.U + u];
      bias[u] = lanes ? sum : bias[u];
    }
  }

  static void add_symbols(const Plan& p, const PathPlan& x, Index steps, ivec lanes) {
    vec* const table = p.accumulate ? p.symbol_g : p.symbol_w;
    for (int lane = 0; lane < V; ++lane)
      for (Index k = 0; lanes[lane] && k < steps; ++k) {
        if (x.symbols[k][lane] < 0) continue;
        vec* const into = table + static_cast<Index>(x.symbols[k][lane]) * p.U;
        for (Index u = 0; u < p.U; ++u) into[u][lane] += x.spread[k * p.U + u][lane];
      }
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
