// Real-time recurrent learning by chunks of steps (Schmidhuber 1992, "A fixed size storage O(n^3)
// time complexity learning algorithm for fully recurrent continually running networks"): the
// gradient of real-time recurrent learning at about 1/U of its cost.
//
// Sensitivities P [n, S, U] are those at the start of a chunk. A tape holds the steps since then,
// with the weights that each step used. (In sparse real-time recurrent learning, these are zero
// except along its paths.) An error goes back over the tape to the start, and there meets P. At the
// end of a chunk, row q of P becomes what an error of 1 at state q meets.
//
// Chunks are counted from the end of the round, where the sequences of all lanes end, so their
// limits do not depend on other lanes.
#pragma once

#include "paths/back.h"
#include "paths/sensitivities.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

struct Chunked {
  // Stores what a later pass over step `slot` needs besides its sources and factors.
  static void keep(const Plan& p, const PathPlan& x, Index slot, ivec symbol) {
    x.symbols[slot] = symbol;
    if (!x.keeps_weights) return;
    const vec* const weights = GoingBack::recurrent(p);
    vec* const kept = x.kept_w + slot * p.n_fed * p.U;
    for (Index m = 0, i = 0; m < p.n_fed; ++m)
      for (Index u = 0; u < p.U; ++u, ++i)
        kept[i] = x.paths ? x.paths[p.fed[m] * p.U + u] * weights[i] : weights[i];
  }

  // Adds the gradient of the error p.back at the last of `steps` steps to weights or gradients.
  // `carried`: P is not zero.
  static void learn(const Plan& p, const PathPlan& x, Index steps, vec scale, ivec lanes,
                    bool carried) {
    clear(x.errors, x.n);
    for (Index c = 0; c < p.C; ++c) x.errors[p.shape.first_cell() + c] = p.back[c];
    go_back<1>(p, x, steps, carried);
    const Pass pass{x.errors, x.spread, steps, carried};
    vec* const dense = p.accumulate ? p.hidden_g : p.hidden_w;
    const vec* const factors = p.at_once(p.hidden_f);
    sources(p, x, pass, [=](Index i, vec sum) { change(lanes, dense[i], scale, factors, i, sum); });
    vec* const bias = p.accumulate ? p.hidden_gb : p.hidden_b;
    const vec* const bias_factors = p.at_once(p.hidden_fb);
    biases(p, x, pass, [&](Index u, vec sum) {
      if (p.shape.biased(u)) change(lanes, bias[u], scale, bias_factors, u, sum);
    });
    if (!p.gathered) return;
    symbols(p, x, pass, p.symbol_g, lanes);
    if (!p.accumulate) apply(p.symbol_w, p.symbol_g, p.symbol_f, p.I * p.U, scale, lanes);
  }

  // Moves P to the end of a chunk of `steps` steps.
  static void advance(const Plan& p, PathPlan& x, Index steps, bool carried) {
    in_blocks<PathPlan::kTile>(
        x.n, [&]<int Rows>(Index first) { rows<Rows>(p, x, steps, carried, first); });
    vec* const before = x.p;
    x.p = x.p_after, x.p_after = before;
  }

 private:
  // An error after its way back over the chunk.
  struct Pass {
    const vec *error, *spread;  // [n] at the start; [slots, U] of net inputs
    Index steps;
    bool carried;
  };

  // Rows q to q + Rows of the next P.
  template <int Rows>
  static void rows(const Plan& p, const PathPlan& x, Index steps, bool carried, Index q) {
    clear(x.errors, Rows * x.n);
    for (int r = 0; r < Rows; ++r) x.errors[r * x.n + q + r] = splat(1.0f);
    go_back<Rows>(p, x, steps, carried);
    for (int r = 0; r < Rows; ++r) {
      const Pass pass{x.errors + r * x.n, x.spread + r * x.slots * p.U, steps, carried};
      vec* const row = x.p_after + (q + r) * x.S * p.U;
      vec *const dense = row + x.inputs * p.U, *const bias = row + (x.S - 1) * p.U;
      clear(row, x.inputs * p.U);
      symbols(p, x, pass, row, isplat(-1));
      sources(p, x, pass, [dense](Index i, vec sum) { dense[i] = sum; });
      biases(p, x, pass, [bias](Index u, vec sum) { bias[u] = sum; });
    }
  }

  // Sends x.errors [Rows, n] back over the chunk, and writes the errors of net inputs to x.spread
  // [Rows, slots, U]. `carried`: also to the start of the chunk.
  template <int Rows>
  static void go_back(const Plan& p, const PathPlan& x, Index steps, bool carried) {
    const Index count = Factors::count(p), square = p.n_fed * p.U, apart = x.slots * p.U;
    vec *const e_y = x.errors, *const e_s = x.errors + p.U;
    for (Index at = steps - 1; at >= !carried; --at)
      GoingBack::through_step<Rows>(
          p, Factors(p, x.factors + at * count),
          x.keeps_weights ? x.kept_w + at * square : GoingBack::recurrent(p), e_y, e_s,
          x.spread + at * p.U, x.n, apart);
    for (int r = 0; !carried && r < Rows; ++r)
      GoingBack::by_net(p, Factors(p, x.factors), e_y + r * x.n, e_s + r * x.n,
                        x.spread + r * apart);
  }

  // Calls write(i, sum) for every weight i [n_sources, U]. The sum is over the products of errors
  // and sources of all steps, and over what the error at the start meets in P.
  template <class Write>
  static void sources(const Plan& p, const PathPlan& x, const Pass& pass, Write write) {
    const Index units = p.U, n_sources = p.n_sources, size = x.S * units;
    const Index carried = pass.carried ? x.n : 0;
    in_blocks<4>(units, [&]<int Units>(Index u) {
      in_blocks<kAccumulators / 4>(n_sources, [&]<int Sources>(Index s) {
        vec sum[Sources][Units] = {};
        const vec *net = pass.spread + u, *source = x.sources + s;
        for (Index k = 0; k < pass.steps; ++k, net += units, source += n_sources)
          for (int i = 0; i < Sources; ++i)
            for (int j = 0; j < Units; ++j) sum[i][j] = fma(net[j], source[i], sum[i][j]);
        const vec* column = x.p + (x.inputs + s) * units + u;
        for (Index q = 0; q < carried; ++q, column += size)
          for (int i = 0; i < Sources; ++i)
            for (int j = 0; j < Units; ++j)
              sum[i][j] = fma(pass.error[q], column[i * units + j], sum[i][j]);
        const auto local = write;  // in registers, which a store to a vector cannot change
        for (int i = 0; i < Sources; ++i)
          for (int j = 0; j < Units; ++j) local((s + i) * units + u + j, sum[i][j]);
      });
    });
  }

  // The same for every bias.
  template <class Write>
  static void biases(const Plan& p, const PathPlan& x, const Pass& pass, Write write) {
    const Index units = p.U, size = x.S * units, carried = pass.carried ? x.n : 0;
    in_blocks<8>(units, [&]<int Units>(Index u) {
      vec sum[Units] = {};
      const vec* net = pass.spread + u;
      for (Index k = 0; k < pass.steps; ++k, net += units)
        for (int j = 0; j < Units; ++j) sum[j] += net[j];
      const vec* column = x.p + size - units + u;
      for (Index q = 0; q < carried; ++q, column += size)
        for (int j = 0; j < Units; ++j) sum[j] = fma(pass.error[q], column[j], sum[j]);
      for (int j = 0; j < Units; ++j) write(u + j, sum[j]);
    });
  }

  // Adds the same for every gathered weight of symbols to table [inputs, U].
  static void symbols(const Plan& p, const PathPlan& x, const Pass& pass, vec* table, ivec lanes) {
    for (int lane = 0; x.inputs && lane < V; ++lane)
      for (Index k = 0; lanes[lane] && k < pass.steps; ++k) {
        if (x.symbols[k][lane] < 0) continue;
        vec* const into = table + static_cast<Index>(x.symbols[k][lane]) * p.U;
        for (Index u = 0; u < p.U; ++u) into[u][lane] += pass.spread[k * p.U + u][lane];
      }
    if (!pass.carried) return;
    const Index size = x.S * p.U;
    in_blocks<8>(x.inputs * p.U, [&]<int Count>(Index first) {
      const vec* column = x.p + first;
      vec sum[Count] = {};
      for (Index q = 0; q < x.n; ++q, column += size)
        for (int i = 0; i < Count; ++i) sum[i] = fma(pass.error[q], column[i], sum[i]);
      for (int i = 0; i < Count; ++i) add_where(lanes, table[first + i], sum[i]);
    });
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
