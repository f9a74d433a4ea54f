// Real-time recurrent learning by chunks of steps (Schmidhuber 1992, "A fixed size storage O(n^3)
// time complexity learning algorithm for fully recurrent continually running networks"): the
// gradient of real-time recurrent learning at about 1/U of its cost.
//
// Sensitivities P [n, S, U] are those at the start of a chunk. A tape holds the steps since then,
// with the weights that each step used. An error goes back over the tape to the start, and there
// meets P. At the end of a chunk, row q of P becomes what an error of 1 at state q meets.
//
// Chunks are counted from the end of the round, where the sequences of all lanes end, so their
// limits do not depend on other lanes.
#pragma once

#include "paths/back.h"
#include "paths/sensitivities.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

struct Chunked {
  // Keeps what a later pass over step `slot` needs besides its sources and factors.
  static void keep(const Plan& p, const PathPlan& x, Index slot, ivec symbol) {
    x.symbols[slot] = symbol;
    if (p.accumulate) return;  // weights are constant during a sequence
    const vec* const weights = GoingBack::recurrent(p);
    const Index count = p.n_fed * p.U;
    vec* const kept = x.kept_w + slot * count;
    for (Index i = 0; i < count; ++i) kept[i] = weights[i];
  }

  // Adds the gradient of the error p.back at the last of `steps` steps to weights or gradients.
  // `carried`: P is not zero.
  static void learn(const Plan& p, const PathPlan& x, Index steps, vec scale, ivec lanes,
                    bool carried) {
    // Where weights change at once by rates that differ, gradients hold one sum before they do.
    const bool scaled = !p.accumulate && p.hidden_f, sums = p.accumulate || scaled;
    const vec all = scaled ? splat(1.0f) : scale;
    clear(x.error_y, p.U), clear(x.error_s, p.C);
    for (Index c = 0; c < p.C; ++c) x.error_y[p.shape.first_cell() + c] = all * p.back[c];
    go_back<1>(p, x, steps, x.error_y, x.error_s);
    const Parts to{sums ? p.symbol_g : p.symbol_w, sums ? p.hidden_g : p.hidden_w,
                   sums ? p.hidden_gb : p.hidden_b};
    add_steps(p, x, steps, x.spread, to, lanes, false);
    if (carried) learn_carried(p, x, to, lanes);
    if (!scaled) return;
    apply_hidden(p, scale, lanes);
    apply(p.symbol_w, p.symbol_g, p.symbol_f, x.inputs * p.U, scale, lanes);
  }

  // Moves P to the end of a chunk of `steps` steps.
  static void advance(const Plan& p, PathPlan& x, Index steps, bool carried) {
    in_blocks<PathPlan::kTile>(
        x.n, [&]<int Rows>(Index first) { rows<Rows>(p, x, steps, carried, first); });
    vec* const before = x.p;
    x.p = x.p_after, x.p_after = before;
  }

 private:
  // Sums that belong to the sources of hidden units.
  struct Parts {
    vec *symbols, *dense, *bias;
  };

  static void learn_carried(const Plan& p, const PathPlan& x, const Parts& to, ivec lanes) {
    const Index dense = p.n_sources * p.U, symbols = x.inputs * p.U;
    const auto meet = [&](Index from, Index count, vec* into) {
      add_carried(p, x, x.error_y, x.error_s, from, count, into, lanes);
    };
    meet(0, symbols, to.symbols), meet(symbols, dense, to.dense);
    for (Index u = 0; u < p.U; ++u)
      if (p.shape.biased(u)) meet(symbols + dense + u, 1, to.bias + u);
  }

  // Rows q to q + Rows of the next P.
  template <int Rows>
  static void rows(const Plan& p, const PathPlan& x, Index steps, bool carried, Index q) {
    const Index size = x.S * p.U;
    clear(x.errors, Rows * x.n);
    for (int r = 0; r < Rows; ++r) x.errors[r * x.n + q + r] = splat(1.0f);
    go_back<Rows>(p, x, steps, x.errors, x.errors + p.U);
    for (int r = 0; r < Rows; ++r) {
      const vec* const error = x.errors + r * x.n;
      vec* const row = x.p_after + (q + r) * size;
      clear(row, size);
      const Parts to{row, row + x.inputs * p.U, row + (x.S - 1) * p.U};
      add_steps(p, x, steps, x.spread + r * x.slots * p.U, to, isplat(-1), true);
      if (carried) add_carried(p, x, error, error + p.U, 0, size, row, isplat(-1));
    }
  }

  // Sends errors back to the start of the chunk, and writes the errors of net inputs to x.spread
  // [Rows, slots, U].
  template <int Rows>
  static void go_back(const Plan& p, const PathPlan& x, Index steps, vec* e_y, vec* e_s) {
    const Index count = Factors::count(p), square = p.n_fed * p.U;
    for (Index at = steps - 1; at >= 0; --at)
      GoingBack::through_step<Rows>(
          p, Factors(p, x.factors + at * count),
          p.accumulate ? GoingBack::recurrent(p) : x.kept_w + at * square, e_y, e_s,
          x.spread + at * p.U, x.n, x.slots * p.U);
  }

  // Adds the products of spread [slots, U] and the sources of all steps.
  static void add_steps(const Plan& p, const PathPlan& x, Index steps, const vec* spread,
                        const Parts& to, ivec lanes, bool all_biases) {
    const Sums sums{to.dense, nullptr, p.U, x.sources, spread, p.U, isplat(-1), lanes};
    in_blocks<4>(p.U, [&]<int Factors>(Index f0) {
      in_blocks<kAccumulators / 4>(p.n_sources, [&]<int Sources>(Index s0) {
        add_tile<Sources, Factors>(p, sums, steps, s0, f0);
      });
    });
    for (Index u = 0; u < p.U; ++u) {
      if (!all_biases && !p.shape.biased(u)) continue;
      vec sum = to.bias[u];
      for (Index k = 0; k < steps; ++k) sum += spread[k * p.U + u];
      to.bias[u] = lanes ? sum : to.bias[u];
    }
    for (int lane = 0; p.gathered && lane < V; ++lane)
      for (Index k = 0; lanes[lane] && k < steps; ++k) {
        if (x.symbols[k][lane] < 0) continue;
        vec* const into = to.symbols + static_cast<Index>(x.symbols[k][lane]) * p.U;
        for (Index u = 0; u < p.U; ++u) into[u][lane] += spread[k * p.U + u][lane];
      }
  }

  // Adds what an error at the start of the chunk meets in `count` columns of P.
  static void add_carried(const Plan& p, const PathPlan& x, const vec* e_y, const vec* e_s,
                          Index from, Index count, vec* into, ivec lanes) {
    const Index size = x.S * p.U, units = p.U, n = x.n;
    const vec* const first_row = x.p + from;
    in_blocks<8>(count, [&]<int Count>(Index first) {
      const vec* row = first_row + first;
      vec sum[Count] = {};
      for (Index q = 0; q < n; ++q, row += size) {
        const vec e = q < units ? e_y[q] : e_s[q - units];
        for (int i = 0; i < Count; ++i) sum[i] = fma(e, row[i], sum[i]);
      }
      for (int i = 0; i < Count; ++i) add_where(lanes, into[first + i], sum[i]);
    });
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
