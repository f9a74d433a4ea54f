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
      for (int i = 0; i < Count; ++i) sum[i] = fma(w[i], x, sum[i]);
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

  void reset(const Plan& p, ivec lanes) const {
    for (Index c = 0; c < p.C; ++c) p.state[c] = lanes ? splat(0.0f) : p.state[c];
    vec* first = hidden(p, 0);
    for (Index m = 0; m < p.n_fed; ++m) first[m] = lanes ? initial : first[m];
  }

  // Copies the activations of the last of `steps` steps to the start of the next chunk.
  static void carry(const Plan& p, Index steps) {
    if (steps == 0) return;
    const vec* last = hidden(p, steps);
    vec* first = hidden(p, 0);
    for (Index m = 0; m < p.n_fed; ++m) first[m] = last[m];
  }
};

// Sizes of a hidden layer, from the plan.
struct AnySizes {
  static constexpr Index most_cells = 1;  // unused, because held() copies nothing
  Index blocks, size, cells, units;
  bool gated;
  explicit AnySizes(const Plan& p)
      : blocks(p.blocks), size(p.shape.block_size), cells(p.C), units(p.U),
        gated(p.shape.output_gate) {}
  // Numbers that one step computes for each unit or cell, here in the workspace.
  struct Local {
    vec* at;
    vec& operator[](Index i) { return at[i]; }
  };
  static Local local(vec* at) { return {at}; }
  // Numbers in the workspace that a loop reads again and again.
  template <Index Count>
  static const vec* held(const vec* at) { return at; }
  static void nets(const Plan& p, const vec* source, const vec* start, Local& net) {
    hidden_nets(p, source, start);
    net.at = p.nets;
  }
};

// Sizes that the compiler knows: all numbers of a step stay in registers.
template <int Blocks, int Size, bool Gated>
struct Sizes {
  static constexpr Index blocks = Blocks, size = Size, cells = Blocks * Size,
                         units = cells + Blocks * (1 + Gated), most_cells = cells;
  static constexpr bool gated = Gated;
  explicit Sizes(const Plan&) {}
  struct Local {
    vec v[units];
    vec& operator[](Index i) { return v[i]; }
  };
  static Local local(vec*) { return {}; }
  template <Index Count>
  struct Held {
    vec v[Count];
    vec operator[](Index i) const { return v[i]; }
  };
  template <Index Count>
  static Held<Count> held(const vec* at) {
    Held<Count> copy;
#pragma GCC unroll 16
    for (Index i = 0; i < Count; ++i) copy.v[i] = at[i];
    return copy;
  }
  static void nets(const Plan& p, const vec* source, const vec* start, Local& net) {
    vec sum[units];
#pragma GCC unroll 16
    for (Index u = 0; u < units; ++u) sum[u] = start[u];
    const vec* w = p.hidden_w;
    for (Index s = 0, n = p.n_sources; s < n; ++s, w += units) {
      const vec x = source[s];
#pragma GCC unroll 16
      for (Index u = 0; u < units; ++u) sum[u] = fma(w[u], x, sum[u]);
    }
#pragma GCC unroll 16
    for (Index u = 0; u < units; ++u) net[u] = sum[u];
  }
  static bool fit(const Shape& s) {
    return s.blocks == Blocks && s.block_size == Size && s.output_gate == Gated;
  }
};

// Calls use.operator()<S>() with the sizes of a hidden layer: known ones for those of the paper's
// experiments, if registers can hold them.
template <class Use>
inline void with_sizes(const Shape& shape, Use use) {
  constexpr Index most_units = V == 16 ? 12 : 8;
  bool found = false;
  const auto try_all = [&]<class... S>() {
    ((!found && S::units <= most_units && S::fit(shape)
          ? (found = true, use.template operator()<S>())
          : void()),
     ...);
  };
  try_all.template operator()<Sizes<1, 1, false>, Sizes<1, 1, true>, Sizes<2, 1, true>,
                              Sizes<3, 1, true>, Sizes<4, 1, true>, Sizes<1, 2, true>,
                              Sizes<2, 2, true>, Sizes<3, 2, true>>();
  if (!found) use.template operator()<AnySizes>();
}

struct Forward : Layer {
  // One step of all lanes. Lanes that are not in `live` keep their state and activations.
  using Step = void (*)(const Forward&, const Plan&, Index k, ivec live);
  Step steady, ragged;  // `steady` takes all lanes as live

  explicit Forward(const Job& job) : Layer(job) {
    with_sizes(job.shape, [&]<class S>() {
      steady = job.learn ? step<S, true, false> : step<S, false, false>;
      ragged = job.learn ? step<S, true, true> : step<S, false, true>;
    });
  }

 private:
  template <class S, bool Learn, bool Ragged>
  static void step(const Forward& layer, const Plan& p, Index k, ivec live) {
    const S n(p);
    const Squasher g = layer.g, h = layer.h;
    auto net = S::local(p.nets), y = S::local(p.unit_y);
    S::nets(p, p.sources + k * p.n_sources,
            p.rows ? p.input_nets + k * p.row_weights : p.hidden_b, net);
    // All units in one loop, gates and cells: independent operations hide latency.
#pragma GCC unroll 16
    for (Index u = 0; u < n.units; ++u) y[u] = logistic(net[u]);
    vec *s = p.state, *h_s = p.squashed, *y_cell = p.cell_out;
    vec* by_gate = p.factors + k * round_up(p.F, 4);
    vec* by_cell = by_gate + n.cells;
#pragma GCC unroll 16
    for (Index c = 0; c < n.cells; ++c) {
      const Index j = c / n.size;
      const vec y_in = Ragged ? (live ? y[j] : splat(0.0f)) : y[j];
      const vec input = g.from_logistic(net[n.blocks + c], y[n.blocks + c]);
      if (Learn) by_gate[c] = input * logistic_slope(y_in), by_cell[c] = g.slope(input) * y_in;
      s[c] = fma(y_in, input, s[c]);
    }
    const vec* const y_out = p.unit_y + n.blocks + n.cells;
#pragma GCC unroll 16
    for (Index j = 0; n.gated && j < n.blocks; ++j)
      p.unit_y[n.blocks + n.cells + j] = y[n.blocks + n.cells + j];
#pragma GCC unroll 16
    for (Index c = 0; c < n.cells; ++c) {
      h_s[c] = h.value(s[c]);
      y_cell[c] = n.gated ? y_out[c / n.size] * h_s[c] : h_s[c];
    }
    const vec* now = hidden(p, k);
    vec* next = hidden(p, k + 1);
    const auto keep = [&](Index m, vec x) { next[m] = Ragged ? (live ? x : now[m]) : x; };
    const Index gates = n.units - n.cells, first_out = n.blocks + n.cells;
    if (p.n_fed == n.units) {  // in the order of Plan::fed
#pragma GCC unroll 16
      for (Index j = 0; j < n.blocks; ++j) keep(j, y[j]);
#pragma GCC unroll 16
      for (Index j = 0; n.gated && j < n.blocks; ++j) keep(n.blocks + j, y[first_out + j]);
#pragma GCC unroll 16
      for (Index c = 0; c < n.cells; ++c) keep(gates + c, y_cell[c]);
    } else if (p.n_fed > 0) {
#pragma GCC unroll 16
      for (Index j = 0; j < n.blocks; ++j) p.unit_y[j] = y[j];
#pragma GCC unroll 16
      for (Index c = 0; c < n.cells; ++c) p.unit_y[n.blocks + c] = y_cell[c];
      for (Index m = 0; m < p.n_fed; ++m) keep(m, p.unit_y[p.fed[m]]);
    }
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
