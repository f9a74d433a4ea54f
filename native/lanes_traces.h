// Traces ds/dw, equations (25) and (27), gathered over the steps of a chunk.
//
// trace[s][f] += sum_k factor[k][f] source[k][s], added step by step in order of time, so that the
// result does not depend on where chunks end.
#pragma once

#include "lanes_forward.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

inline void clear_traces(const Plan& p) {
  for (Index i = 0; i < p.S * p.F; ++i) p.trace[i] = splat(0.0f);
  for (Index f = 0; f < p.F; ++f) p.trace_b[f] = splat(0.0f);
}

template <int Sources, int Factors>
inline void trace_tile(const Plan& p, Index steps, Index s0, Index f0) {
  vec sum[Sources][Factors];
  for (int i = 0; i < Sources; ++i)
    for (int j = 0; j < Factors; ++j) sum[i][j] = p.trace[(s0 + i) * p.F + f0 + j];
  const vec* factor = p.factors + f0;
  const vec* source = p.sources + s0;
  for (Index k = 0; k < steps; ++k, factor += round_up(p.F, 4), source += p.S)
    for (int i = 0; i < Sources; ++i) {
      const vec x = source[i];
      for (int j = 0; j < Factors; ++j) sum[i][j] += factor[j] * x;
    }
  for (int i = 0; i < Sources; ++i)
    for (int j = 0; j < Factors; ++j) p.trace[(s0 + i) * p.F + f0 + j] = sum[i][j];
}

inline void gather_traces(const Plan& p, Index steps) {
  in_blocks<4>(p.F, [&]<int Factors>(Index f0) {
    in_blocks<kAccumulators / 4>(p.S, [&]<int Sources>(Index s0) {
      trace_tile<Sources, Factors>(p, steps, s0, f0);
    });
  });
  if (!p.shape.gate_bias && !p.shape.cell_bias) return;
  for (Index f = 0; f < p.F; ++f) {
    vec sum = p.trace_b[f];
    for (Index k = 0; k < steps; ++k) sum += p.factors[k * round_up(p.F, 4) + f];
    p.trace_b[f] = sum;
  }
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
