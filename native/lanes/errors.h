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
      gate += p.squashed[c] * p.back[c];
    }
    const ivec gated = p.shape.output_gate ? lanes : ivec{};
    error_gate[j] = gated ? logistic_slope(y_out) * gate : splat(0.0f);
  }
}

// Adds error [C] times trace [F] to row [U] for every unit that has traces: equations (26) and
// (28), in the given groups. `scale` is the learning rate if the row holds weights, else 1;
// factors [U] of it, or null.
inline void add_traced(const Plan& p, const vec* trace, const vec* error, vec* row, vec scale,
                       const vec* factors, ivec lanes, Groups groups) {
  const bool gates = groups.has(Group::input_gates), cells = groups.has(Group::cells);
  for (Index j = 0, c = 0; j < p.blocks; ++j) {
    vec gate = splat(0.0f);
    for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
      gate += error[c] * trace[c];
      if (cells)
        change(lanes, row[p.blocks + c], scale, factors, p.blocks + c,
               error[c] * trace[p.C + c]);
    }
    if (gates) change(lanes, row[j], scale, factors, j, gate);
  }
}

// Changes hidden weights by the errors of step k. Traces include that step.
inline void learn_step(const Plan& p, Index k, vec rate, ivec lanes) {
  const vec *error_cell = p.error_cell + k * p.C, *error_gate = p.error_gate + k * p.blocks;
  const auto learn = [&](const vec* trace, vec activation, vec* weight, const vec* factors,
                         Groups groups) {
    add_traced(p, trace, error_cell, weight, rate, factors, lanes, groups);
    if (!p.shape.output_gate || !groups.has(Group::output_gates)) return;
    for (Index u = p.blocks + p.C, j = 0; j < p.blocks; ++u, ++j)
      change(lanes, weight[u], rate, factors, u, error_gate[j] * activation);
  };
  for (Index s = 0; s < p.n_sources; ++s)
    learn(p.trace + s * p.F, p.sources[k * p.n_sources + s], p.hidden_w + s * p.U,
          p.hidden_f ? p.hidden_f + s * p.U : nullptr, kAllGroups);
  learn(p.trace_b, splat(1.0f), p.hidden_b, p.hidden_fb, p.shape.biased_groups);
}

// Adds the gradient of a whole chunk of steps. Traces must not include the chunk yet.
//
// The gradient is the sum over steps k of the error of k times the trace at k, which is the trace
// before the chunk plus the products of steps up to k. Exchange the sums: the trace before the
// chunk is multiplied by the sum of all errors (`reach`), and the product of step i by the sum of
// the errors from i on (`spread`). So each step costs one multiplication per unit and source.
// `lanes` are those with an error in the chunk.
inline void learn_chunk(const Plan& p, Index steps, ivec lanes) {
  const Index gates = p.blocks + p.C;
  clear(p.reach, p.C);
  for (Index k = steps - 1; k >= 0; --k) {
    const vec *by_gate = p.factors + k * round_up(p.F, 4), *by_cell = by_gate + p.C;
    vec* spread = p.spread + k * p.U;
    for (Index j = 0, c = 0; j < p.blocks; ++j) {
      vec gate = splat(0.0f);
      for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
        const vec reach = p.reach[c] += p.error_cell[k * p.C + c];
        gate += by_gate[c] * reach;
        spread[p.blocks + c] = by_cell[c] * reach;
      }
      spread[j] = gate;
      if (p.shape.output_gate) spread[gates + j] = p.error_gate[k * p.blocks + j];
    }
  }
  const vec one = splat(1.0f);
  for (Index s = 0; s < p.n_sources; ++s)
    add_traced(p, p.trace + s * p.F, p.reach, p.hidden_g + s * p.U, one, nullptr, lanes,
               kAllGroups);
  add_traced(p, p.trace_b, p.reach, p.hidden_gb, one, nullptr, lanes, kAllGroups);
  add_products(p, gradients(p, lanes), steps);
}

// Changes hidden weights by their gradients. Ignores the bias gradients of units without a bias,
// and the gradients of absent weights, whose factors are 0.
inline void apply_hidden(const Plan& p, vec rate, ivec lanes) {
  apply(p.hidden_w, p.hidden_g, p.hidden_f, p.n_sources * p.U, rate, lanes);
  for (Index u = 0; u < p.U; ++u)
    if (p.shape.biased(u))
      apply(p.hidden_b + u, p.hidden_gb + u, p.hidden_fb ? p.hidden_fb + u : nullptr, 1, rate,
            lanes);
  clear(p.hidden_gb, p.U);
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
