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

// Sets columns [count] to zero in `lanes`.
inline void clear(vec* first, Index count, ivec lanes) {
  for (Index i = 0; i < count; ++i) first[i] = lanes ? splat(0.0f) : first[i];
}

// Changes weights [count] by gradients [count] in `lanes`, and clears the gradients. factors
// [count] of the rate, or null.
inline void apply(vec* weight, vec* gradient, const vec* factors, Index count, vec rate,
                  ivec lanes) {
  for (Index i = 0; i < count; ++i) change(lanes, weight[i], rate, factors, i, gradient[i]);
  clear(gradient, count, lanes);
}

// Destination of products: one row of `width` sums for each source, and one for the biases.
struct Sums {
  vec *sum, *bias;
  Index width;
  const vec* sources;  // [steps, n_sources]
  const vec* factors;  // [steps, stride]
  Index stride;
  ivec kept;           // lanes whose sums are added to; those of other lanes count as zero
  ivec lanes;          // lanes whose sums change
};

// The traces, to which the steps from `from` on are added.
inline Sums traces(const Plan& p, Index from, ivec kept) {
  const Index stride = round_up(p.F, 4);
  return {p.trace, p.trace_b, p.F, p.sources + from * p.n_sources, p.factors + from * stride,
          stride, kept, isplat(-1)};
}

inline Sums gradients(const Plan& p, const vec* factors, ivec lanes) {
  return {p.hidden_g, p.hidden_gb, p.U, p.sources, factors, p.U, isplat(-1), lanes};
}

template <int Sources, int Factors>
inline void add_tile(const Plan& p, const Sums& to, Index steps, Index s0, Index f0) {
  vec sum[Sources][Factors];
  vec* out = to.sum + s0 * to.width + f0;
  for (int i = 0; i < Sources; ++i)
    for (int j = 0; j < Factors; ++j)
      sum[i][j] = to.kept ? out[i * to.width + j] : splat(0.0f);
  const vec* factor = to.factors + f0;
  const vec* source = to.sources + s0;
  const Index factor_stride = to.stride, source_stride = p.n_sources;
  const ivec lanes = to.lanes;  // a local: a store to a vector might change to.lanes
  for (Index k = 0; k < steps; ++k, factor += factor_stride, source += source_stride)
    for (int i = 0; i < Sources; ++i) {
      const vec x = source[i];
      for (int j = 0; j < Factors; ++j) sum[i][j] = fma(factor[j], x, sum[i][j]);
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
    vec sum = to.kept ? to.bias[f] : splat(0.0f);
    for (Index k = 0; k < steps; ++k) sum += to.factors[k * to.stride + f];
    to.bias[f] = to.lanes ? sum : to.bias[f];
  }
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
