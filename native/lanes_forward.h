// One time step of every lane of a group: equations (7) to (9), and the factors of (25) and (27).
#pragma once

#include "lanes_plan.h"
#include "pointwise.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Calls run.template operator()<N>(first) for blocks of at most Most that cover 0..count evenly.
template <int Most, class Run>
void in_blocks(Index count, Run run) {
  const Index blocks = (count + Most - 1) / Most;
  for (Index b = 0, first = 0; b < blocks; ++b) {
    const Index size = (count - first) / (blocks - b);
    switch (size) {
      case 1: run.template operator()<1>(first); break;
      case 2: run.template operator()<2>(first); break;
      case 3: run.template operator()<3>(first); break;
      case 4: run.template operator()<4>(first); break;
      case 5: if constexpr (Most > 4) run.template operator()<5>(first); break;
      case 6: if constexpr (Most > 4) run.template operator()<6>(first); break;
      case 7: if constexpr (Most > 4) run.template operator()<7>(first); break;
      case 8: if constexpr (Most > 4) run.template operator()<8>(first); break;
    }
    first += size;
  }
}

// net_u = start_u + sum_s w_us source_s, accumulators in registers.
inline void hidden_nets(const Plan& p, const vec* source, const vec* start) {
  in_blocks<8>(p.U, [&]<int N>(Index first) {
    vec sum[N];
    for (int i = 0; i < N; ++i) sum[i] = start[first + i];
    const vec* w = p.hidden_w + first;
    for (Index s = 0; s < p.S; ++s, w += p.U) {
      const vec x = source[s];
      for (int i = 0; i < N; ++i) sum[i] += w[i] * x;
    }
    for (int i = 0; i < N; ++i) p.nets[first + i] = sum[i];
  });
}

struct Forward {
  Squasher g, h;
  vec initial;  // activation of hidden units before the first step

  explicit Forward(const Job& job)
      : g(job.shape.g), h(job.shape.h), initial(splat(job.initial_activation)) {}

  // Where the hidden units of the step before k stand among the sources.
  static vec* hidden(const Plan& p, Index k) { return p.sources + k * p.S + p.dense_inputs; }

  void reset(const Plan& p) const {
    for (Index c = 0; c < p.C; ++c) p.state[c] = splat(0.0f);
    if (p.shape.full)
      for (Index u = 0; u < p.U; ++u) hidden(p, 0)[u] = initial;
  }

  // Step k of the chunk. With Ragged, lanes that are not yet live keep their initial state.
  template <bool Learn, bool Ragged>
  void step(const Plan& p, Index k, ivec live) const {
    const vec zero = splat(0.0f);
    hidden_nets(p, p.sources + k * p.S,
                p.rows ? p.input_nets + k * p.row_weights : p.hidden_b);
    const Index size = p.shape.block_size, cells = p.B, gates = p.B + p.C;
    for (Index j = 0; j < p.B; ++j) p.gate_in[j] = logistic(p.nets[j]);
    if (p.shape.output_gate)
      for (Index j = 0; j < p.B; ++j) p.gate_out[j] = logistic(p.nets[gates + j]);
    vec* factor = p.factors + k * round_up(p.F, 4);
    for (Index j = 0, c = 0; j < p.B; ++j) {
      const vec y_in = p.gate_in[j];
      const vec slope_in = logistic_slope(y_in);
      for (Index v = 0; v < size; ++v, ++c) {
        const vec input = g.value(p.nets[cells + c]);
        vec change = y_in * input;
        if (Learn) {
          const vec by_gate = input * slope_in, by_cell = g.slope(input) * y_in;
          factor[c] = Ragged ? (live ? by_gate : zero) : by_gate;
          factor[p.C + c] = Ragged ? (live ? by_cell : zero) : by_cell;
        }
        if (Ragged) change = live ? change : zero;
        p.state[c] += change;
      }
    }
    for (Index j = 0, c = 0; j < p.B; ++j)
      for (Index v = 0; v < size; ++v, ++c) {
        const vec squashed = h.value(p.state[c]);
        p.squashed[c] = squashed;
        p.cell_out[c] = p.shape.output_gate ? p.gate_out[j] * squashed : squashed;
      }
    if (!p.shape.full) return;
    vec* next = hidden(p, k + 1);
    const auto publish = [&](Index u, vec y) { next[u] = Ragged ? (live ? y : initial) : y; };
    for (Index j = 0; j < p.B; ++j) publish(j, p.gate_in[j]);
    for (Index c = 0; c < p.C; ++c) publish(cells + c, p.cell_out[c]);
    if (p.shape.output_gate)
      for (Index j = 0; j < p.B; ++j) publish(gates + j, p.gate_out[j]);
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
