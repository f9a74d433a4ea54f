// Errors of cells and gates, and the change of hidden weights that are held as columns: equations
// (21) to (28).
#pragma once

#include "lanes/outputs.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Errors of cell states and output gates from those of cell outputs, p.back: equations (21), (23).
inline void inner_errors(const Plan& p, const Squasher& h, Index k, ivec lanes) {
  vec *error_cell = p.error_cell + k * p.C, *error_gate = p.error_gate + k * p.blocks;
  for (Index j = 0, c = 0; j < p.blocks; ++j) {
    const vec y_out = p.shape.output_gate ? p.unit_y[p.blocks + p.C + j] : splat(1.0f);
    vec gate = splat(0.0f);
    for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
      const vec inside = y_out * h.slope(p.squashed[c]) * p.back[c];
      error_cell[c] = lanes ? inside : splat(0.0f);
      gate = fma(p.squashed[c], p.back[c], gate);
    }
    const ivec gated = p.shape.output_gate ? lanes : ivec{};
    error_gate[j] = gated ? logistic_slope(y_out) * gate : splat(0.0f);
  }
}

// Adds error [C] times trace [F] to row [U] for every unit that has traces: equations (26) and
// (28), in the given groups. `scale` is the learning rate if the row holds weights, else 1;
// factors [U] of it, or null. Traces of lanes that are not in `kept` count as zero.
inline void add_traced(const Plan& p, const vec* trace, ivec kept, const vec* error, vec* row,
                       vec scale, const vec* factors, ivec lanes, Groups groups) {
  const bool gates = groups.has(Group::input_gates), cells = groups.has(Group::cells);
  const auto at = [&](Index f) { return kept ? trace[f] : splat(0.0f); };
  for (Index j = 0, c = 0; j < p.blocks; ++j) {
    vec gate = splat(0.0f);
    for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
      gate = fma(error[c], at(c), gate);
      if (cells)
        change(lanes, row[p.blocks + c], scale * error[c], factors, p.blocks + c, at(p.C + c));
    }
    if (gates) change(lanes, row[j], scale, factors, j, gate);
  }
}

// Adds step k to the traces, and changes hidden weights by its errors: equations (25) to (28).
// Traces of lanes that are not in `kept` count as zero.
using LearnStep = void (*)(const Plan&, Index k, vec rate, ivec kept, ivec lanes);

template <class S>
void learn_step(const Plan& p, Index k, vec rate, ivec kept, ivec lanes) {
  const S n(p);
  constexpr Index cells = S::most_cells;
  const vec* const factors = p.factors + k * round_up(p.F, 4);
  const auto by_gate = S::template held<cells>(factors);
  const auto by_cell = S::template held<cells>(factors + n.cells);
  const auto error = S::template held<cells>(p.error_cell + k * n.cells);
  auto scaled = S::local(p.nets);  // errors of cells and output gates times the rate
#pragma GCC unroll 16
  for (Index c = 0; c < n.cells; ++c) scaled[c] = rate * error[c];
#pragma GCC unroll 16
  for (Index j = 0; n.gated && j < n.blocks; ++j)
    scaled[n.cells + j] = rate * p.error_gate[k * n.blocks + j];

  // With Plain, all units have the weight and the same rate.
  const auto learn = [&]<bool Plain>(vec x, vec* trace, vec* weight, const vec* rates,
                                     Groups groups) {
    const auto has = [&](Group g) { return Plain || groups.has(g); };
    const auto add = [&](Index u, vec scale, vec by) {
      Plain ? add_where(lanes, weight[u], scale, by) : change(lanes, weight[u], scale, rates, u, by);
    };
#pragma GCC unroll 16
    for (Index j = 0; j < n.blocks; ++j) {
      vec gate = splat(0.0f);
#pragma GCC unroll 16
      for (Index v = 0; v < n.size; ++v) {
        const Index c = j * n.size + v, u = n.blocks + c;
        const vec in = fma(by_gate[c], x, kept ? trace[c] : splat(0.0f));
        const vec cell = fma(by_cell[c], x, kept ? trace[n.cells + c] : splat(0.0f));
        trace[c] = in, trace[n.cells + c] = cell;
        gate = fma(error[c], in, gate);
        if (has(Group::cells)) add(u, scaled[c], cell);
      }
      if (has(Group::input_gates)) add(j, rate, gate);
    }
    if (!n.gated || !has(Group::output_gates)) return;
#pragma GCC unroll 16
    for (Index j = 0; j < n.blocks; ++j) {
      add(n.blocks + n.cells + j, scaled[n.cells + j], x);
    }
  };
  const auto learn_row = [&](vec x, vec* trace, vec* weight, const vec* rates, Groups groups) {
    if (rates || groups.bits != kAllGroups.bits)
      learn.template operator()<false>(x, trace, weight, rates, groups);
    else
      learn.template operator()<true>(x, trace, weight, rates, groups);
  };
  for (Index s = 0; s < p.n_sources; ++s)
    learn_row(p.sources[k * p.n_sources + s], p.trace + s * p.F, p.hidden_w + s * n.units,
              p.hidden_f ? p.hidden_f + s * n.units : nullptr, kAllGroups);
  if (p.shape.biased_groups.any())
    learn_row(splat(1.0f), p.trace_b, p.hidden_b, p.hidden_fb, p.shape.biased_groups);
}

// Adds the gradient of a whole chunk of steps. Traces must not include the chunk yet.
//
// The gradient is the sum over steps k of the error of k times the trace at k, which is the trace
// before the chunk plus the products of steps up to k. Exchange the sums: the trace before the
// chunk is multiplied by the sum of all errors (`reach`), and the product of step i by the sum of
// the errors from i on (`spread`). So each step costs one multiplication per unit and source.
// `lanes` are those with an error in the chunk. Traces of lanes not in `kept` count as zero.
inline void learn_chunk(const Plan& p, Index steps, ivec kept, ivec lanes) {
  const Index gates = p.blocks + p.C;
  clear(p.reach, p.C);
  for (Index k = steps - 1; k >= 0; --k) {
    const vec *by_gate = p.factors + k * round_up(p.F, 4), *by_cell = by_gate + p.C;
    vec* spread = p.spread + k * p.U;
    for (Index j = 0, c = 0; j < p.blocks; ++j) {
      vec gate = splat(0.0f);
      for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
        const vec reach = p.reach[c] += p.error_cell[k * p.C + c];
        gate = fma(by_gate[c], reach, gate);
        spread[p.blocks + c] = by_cell[c] * reach;
      }
      spread[j] = gate;
      if (p.shape.output_gate) spread[gates + j] = p.error_gate[k * p.blocks + j];
    }
  }
  const vec one = splat(1.0f);
  for (Index s = 0; s < p.n_sources; ++s)
    add_traced(p, p.trace + s * p.F, kept, p.reach, p.hidden_g + s * p.U, one, nullptr, lanes,
               kAllGroups);
  add_traced(p, p.trace_b, kept, p.reach, p.hidden_gb, one, nullptr, lanes, kAllGroups);
  add_products(p, gradients(p, p.spread, lanes), steps);
}

// Changes hidden weights by their gradients. Ignores the bias gradients of units without a bias,
// and the gradients of absent weights, whose factors are 0.
inline void apply_hidden(const Plan& p, vec rate, ivec lanes) {
  apply(p.hidden_w, p.hidden_g, p.hidden_f, p.n_sources * p.U, rate, lanes);
  for (Index u = 0; u < p.U; ++u)
    if (p.shape.biased(u))
      apply(p.hidden_b + u, p.hidden_gb + u, p.hidden_fb ? p.hidden_fb + u : nullptr, 1, rate,
            lanes);
  clear(p.hidden_gb, p.U, lanes);
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
