// Sums of products over the steps of a chunk: traces ds/dw, equations (25) and (27), and gradients.
//
// sum[s][f] += sum_k factor[k][f] source[k][s], in order of time.
#pragma once

#include "lanes/forward.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

inline void clear(vec* first, Index count) {
  for (Index i = 0; i < count; ++i) first[i] = splat(0.0f);
}

// Changes weights [count] by gradients [count] in `lanes`, and clears the gradients of all lanes.
// factors [count] of the rate, or null.
inline void apply(vec* weight, vec* gradient, const vec* factors, Index count, vec rate,
                  ivec lanes) {
  for (Index i = 0; i < count; ++i) {
    change(lanes, weight[i], rate, factors, i, gradient[i]);
    gradient[i] = splat(0.0f);
  }
}

// Destination of products: one row of `width` sums for each source, and one for the biases.
struct Sums {
  vec *sum, *bias;
  Index width;
  const vec* factors;  // [kChunk, stride]
  Index stride;
  ivec lanes;          // lanes whose sums change
};

inline Sums traces(const Plan& p) {
  return {p.trace, p.trace_b, p.F, p.factors, round_up(p.F, 4), isplat(-1)};
}

inline Sums gradients(const Plan& p, ivec lanes) {
  return {p.hidden_g, p.hidden_gb, p.U, p.spread, p.U, lanes};
}

inline void clear_traces(const Plan& p) {
  clear(p.trace, p.n_sources * p.F);
  clear(p.trace_b, p.F);
}

template <int Sources, int Factors>
inline void add_tile(const Plan& p, const Sums& to, Index steps, Index s0, Index f0) {
  vec sum[Sources][Factors];
  vec* out = to.sum + s0 * to.width + f0;
  for (int i = 0; i < Sources; ++i)
    for (int j = 0; j < Factors; ++j) sum[i][j] = out[i * to.width + j];
  const vec* factor = to.factors + f0;
  const vec* source = p.sources + s0;
  const Index factor_stride = to.stride, source_stride = p.n_sources;
  const ivec lanes = to.lanes;  // a local: a store to a vector might change to.lanes
  for (Index k = 0; k < steps; ++k, factor += factor_stride, source += source_stride)
    for (int i = 0; i < Sources; ++i) {
      const vec x = source[i];
      for (int j = 0; j < Factors; ++j) sum[i][j] += factor[j] * x;
    }
  for (int i = 0; i < Sources; ++i)
    for (int j = 0; j < Factors; ++j) {
      vec& into = out[i * to.width + j];
      into = lanes ? sum[i][j] : into;
    }
}

inline void add_products(const Plan& p, const Sums& to, Index steps) {
  in_blocks<4>(to.width, [&]<int Factors>(Index f0) {
    in_blocks<kAccumulators / 4>(p.n_sources, [&]<int Sources>(Index s0) {
      add_tile<Sources, Factors>(p, to, steps, s0, f0);
    });
  });
  if (!p.shape.biased_groups.any()) return;
  for (Index f = 0; f < to.width; ++f) {
    vec sum = to.bias[f];
    for (Index k = 0; k < steps; ++k) sum += to.factors[k * to.stride + f];
    to.bias[f] = to.lanes ? sum : to.bias[f];
  }
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
