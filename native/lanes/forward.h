// One time step of all lanes of a group: equations (7) to (9), and the factors of (25) and (27).
#pragma once

#include "lanes/plan.h"
#include "common/pointwise.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Covers 0..count-1 evenly by blocks of at most Most numbers: calls run.template
// operator()<Count>(first) for each, where Count is the size of the block.
template <int Most, class Run>
void in_blocks(Index count, Run run) {
  const Index blocks = (count + Most - 1) / Most;
  for (Index b = 0, first = 0; b < blocks; ++b) {
    const Index size = (count - first) / (blocks - b);
    switch (size) {
      case 1: run.template operator()<1>(first); break;
      case 2: run.template operator()<2>(first); break;
      case 3: if constexpr (Most >= 3) run.template operator()<3>(first); break;
      case 4: if constexpr (Most >= 4) run.template operator()<4>(first); break;
      case 5: if constexpr (Most >= 5) run.template operator()<5>(first); break;
      case 6: if constexpr (Most >= 6) run.template operator()<6>(first); break;
      case 7: if constexpr (Most >= 7) run.template operator()<7>(first); break;
      case 8: if constexpr (Most >= 8) run.template operator()<8>(first); break;
    }
    first += size;
  }
}

// net_u = start_u + sum_s w_us source_s for source [n_sources] and start [U], into p.nets [U].
inline void hidden_nets(const Plan& p, const vec* source, const vec* start) {
  in_blocks<8>(p.U, [&]<int Count>(Index first) {
    vec sum[Count];
    for (int i = 0; i < Count; ++i) sum[i] = start[first + i];
    const vec* w = p.hidden_w + first;
    for (Index s = 0; s < p.n_sources; ++s, w += p.U) {
      const vec x = source[s];
      for (int i = 0; i < Count; ++i) sum[i] += w[i] * x;
    }
    for (int i = 0; i < Count; ++i) p.nets[first + i] = sum[i];
  });
}

// The state of a hidden layer before the first step and between chunks.
struct Layer {
  Squasher g, h;
  vec initial;  // activation of hidden units before the first step

  explicit Layer(const Job& job)
      : g(job.shape.g), h(job.shape.h), initial(splat(job.initial_activation)) {}

  // The activations [n_fed] of the step before k, which are sources of step k.
  static vec* hidden(const Plan& p, Index k) {
    return p.sources + k * p.n_sources + p.dense_inputs;
  }

  void reset(const Plan& p) const {
    for (Index c = 0; c < p.C; ++c) p.state[c] = splat(0.0f);
    for (Index m = 0; m < p.n_fed; ++m) hidden(p, 0)[m] = initial;
  }

  // Copies the activations of the last of `steps` steps to the start of the next chunk.
  static void carry(const Plan& p, Index steps) {
    if (steps == 0) return;
    const vec* last = hidden(p, steps);
    vec* first = hidden(p, 0);
    for (Index m = 0; m < p.n_fed; ++m) first[m] = last[m];
  }
};

struct Forward : Layer {
  using Layer::Layer;

  // Step k of the chunk. With Ragged, lanes that are not live yet keep their initial state. Inlined
  // into the loop over chunks, it would compete for registers.
  template <bool Learn, bool Ragged>
  [[gnu::noinline]] void step(const Plan& p, Index k, ivec live) const {
    hidden_nets(p, p.sources + k * p.n_sources,
                p.rows ? p.input_nets + k * p.row_weights : p.hidden_b);
    // Locals, because the compiler assumes that a store to a vector may change the plan.
    const Index blocks = p.blocks, size = p.shape.block_size, cells = p.C, units = p.U;
    const vec* net = p.nets;
    vec *y = p.unit_y, *s = p.state, *h_s = p.squashed, *y_cell = p.cell_out;
    // All units in one loop, gates and cells: independent operations hide latency.
#pragma GCC unroll 4
    for (Index u = 0; u < units; ++u) y[u] = logistic(net[u]);
    vec* by_gate = p.factors + k * round_up(p.F, 4);
    vec* by_cell = by_gate + cells;
    const vec *net_c = net + blocks, *y_c = y + blocks;
    for (Index j = 0, c = 0; j < blocks; ++j) {
      const vec y_in = Ragged ? (live ? y[j] : splat(0.0f)) : y[j];
      const vec slope_in = logistic_slope(y_in);
      for (Index v = 0; v < size; ++v, ++c) {
        const vec input = g.from_logistic(net_c[c], y_c[c]);
        if (Learn) by_gate[c] = input * slope_in, by_cell[c] = g.slope(input) * y_in;
        s[c] += y_in * input;
      }
    }
#pragma GCC unroll 4
    for (Index c = 0; c < cells; ++c) h_s[c] = h.value(s[c]);
    const bool gated = p.shape.output_gate;
    const vec* y_out = y + blocks + cells;
    for (Index j = 0, c = 0; j < blocks; ++j)
      for (Index v = 0; v < size; ++v, ++c) y_cell[c] = gated ? y_out[j] * h_s[c] : h_s[c];
    const Index* fed = p.fed;
    const Index n_fed = p.n_fed;
    vec* next = hidden(p, k + 1);
    for (Index c = 0; c < cells; ++c) y[blocks + c] = y_cell[c];
    for (Index m = 0; m < n_fed; ++m)
      next[m] = Ragged ? (live ? y[fed[m]] : initial) : y[fed[m]];
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
