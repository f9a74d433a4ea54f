// Errors of cells and gates, and the change of every hidden weight held as columns:
// equations (21) to (28).
#pragma once

#include "lanes_outputs.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// From the error at each cell's output (p.back) to the errors inside: equations (21) and (23).
inline void inner_errors(const Plan& p, const Squasher& h) {
  for (Index j = 0, c = 0; j < p.B; ++j) {
    const vec y_out = p.shape.output_gate ? p.unit_y[p.B + p.C + j] : splat(1.0f);
    vec gate = splat(0.0f);
    for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
      p.error_cell[c] = y_out * h.slope(p.squashed[c]) * p.back[c];
      gate += p.squashed[c] * p.back[c];
    }
    p.error_gate[j] = p.shape.output_gate ? logistic_slope(y_out) * gate : splat(0.0f);
  }
}

// The change of all weights from one source, given its traces and its activation.
inline void learn_from(const Plan& p, const vec* trace, vec activation, vec* weight, vec* gradient,
                       vec rate, bool direct, bool gates, bool cells) {
  for (Index j = 0, c = 0; j < p.B; ++j) {
    vec gate = splat(0.0f);
    for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
      gate += p.error_cell[c] * trace[c];
      if (cells)
        move(weight[p.B + c], gradient[p.B + c], p.error_cell[c] * trace[p.C + c], rate, direct);
    }
    if (gates) move(weight[j], gradient[j], gate, rate, direct);
  }
  if (!p.shape.output_gate || !gates) return;
  const Index first = p.B + p.C;
  for (Index j = 0; j < p.B; ++j)
    move(weight[first + j], gradient[first + j], p.error_gate[j] * activation, rate, direct);
}

inline void learn_hidden(const Plan& p, Index k, vec rate, bool direct) {
  for (Index s = 0; s < p.S; ++s) {
    vec* weight = p.hidden_w + s * p.U;
    vec* gradient = p.accumulate ? p.hidden_g + s * p.U : weight;
    learn_from(p, p.trace + s * p.F, p.sources[k * p.S + s], weight, gradient, rate, direct, true,
               true);
  }
  learn_from(p, p.trace_b, splat(1.0f), p.hidden_b, p.hidden_gb, rate, direct, p.shape.gate_bias,
             p.shape.cell_bias);
}

inline void apply_hidden(const Plan& p, vec rate) {
  for (Index i = 0; i < p.S * p.U; ++i)
    p.hidden_w[i] += rate * p.hidden_g[i], p.hidden_g[i] = splat(0.0f);
  for (Index u = 0; u < p.U; ++u)
    p.hidden_b[u] += rate * p.hidden_gb[u], p.hidden_gb[u] = splat(0.0f);
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
