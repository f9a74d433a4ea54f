// Output units, their errors, and the errors of cell outputs: equations (19) to (23).
#pragma once

#include "lanes/rows.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// A step at which some lanes have a target, and the errors of all lanes in this sequence so far.
struct Event {
  Index k;                // step in the chunk
  Index time;             // step in the round
  Index target[V];        // row of the target, or -1 for a lane without one
  vec max_abs, sum_abs, sum_sq;

  bool wanted(int lane) const { return target[lane] >= 0; }
  ivec mask() const {
    ivec m{};
    for (int lane = 0; lane < V; ++lane) m[lane] = wanted(lane) ? -1 : 0;
    return m;
  }
  void count(vec error) {
    const vec size = absolute(error);
    max_abs = larger(max_abs, size);
    sum_abs += size;
    sum_sq += error * error;
  }
};

inline float target_of(const Lane& lane, Index row, Index output, Index outputs) {
  return lane.classes ? (lane.classes[row] == output ? 1.0f : 0.0f)
                      : lane.targets[row * outputs + output];
}

// Outputs held as columns. Their sources are the inputs (layered wiring) and the cells.
struct ColumnOutputs {
  static vec source(const Plan& p, Index k, Index q) {
    const Index inputs = p.n_seen - p.C;
    return q < inputs ? p.sources[k * p.n_sources + q] : p.cell_out[q - inputs];
  }

  static void forward(const Plan& p, Index k) {
    in_blocks<8>(p.O, [&]<int Count>(Index first) {
      vec sum[Count];
      for (int i = 0; i < Count; ++i) sum[i] = p.output_b[first + i];
      for (Index q = 0; q < p.n_seen; ++q) {
        const vec x = source(p, k, q);
        for (int i = 0; i < Count; ++i) sum[i] += p.output_w[q * p.O + first + i] * x;
      }
      for (int i = 0; i < Count; ++i) p.output_y[first + i] = logistic(sum[i]);
    });
  }

  static void errors(const Plan& p, const Lane* lanes, Event& event, bool derivative) {
    const ivec mask = event.mask();
    for (Index o = 0; o < p.O; ++o) {
      vec goal = p.output_y[o];
      for (int lane = 0; lane < V; ++lane)
        if (event.wanted(lane)) goal[lane] = target_of(lanes[lane], event.target[lane], o, p.O);
      const vec y = p.output_y[o];
      const vec error = mask ? goal - y : splat(0.0f);
      event.count(error);
      p.output_e[o] = derivative ? error * logistic_slope(y) : error;
    }
  }

  static void send_back(const Plan& p) {
    for (Index c = 0; c < p.C; ++c) {
      vec sum = splat(0.0f);
      for (Index o = 0; o < p.O; ++o)
        sum += p.output_w[(p.n_seen - p.C + c) * p.O + o] * p.output_e[o];
      p.back[c] = sum;
    }
  }

  // Equation (22): changes weights (`scale` is the learning rate) or gradients (`scale` is 1).
  static void learn(const Plan& p, Index k, vec scale, ivec lanes) {
    vec* into = p.accumulate ? p.output_g : p.output_w;
    for (Index q = 0; q < p.n_seen; ++q) {
      const vec x = source(p, k, q);
      for (Index o = 0; o < p.O; ++o)
        add_where(lanes, into[q * p.O + o], scale * (p.output_e[o] * x));
    }
    if (!p.shape.output_bias) return;
    into = p.accumulate ? p.output_gb : p.output_b;
    for (Index o = 0; o < p.O; ++o) add_where(lanes, into[o], scale * p.output_e[o]);
  }

  static void apply(const Plan& p, vec rate, ivec lanes) {
    carrousel::CARROUSEL_ISA::apply(p.output_w, p.output_g, p.n_seen * p.O, rate, lanes);
    carrousel::CARROUSEL_ISA::apply(p.output_b, p.output_gb, p.O, rate, lanes);
  }
};

// Outputs that are the last hidden units.
struct UnitedOutputs {
  static void forward(const Plan& p) {
    for (Index o = 0; o < p.O; ++o) p.output_y[o] = p.cell_out[p.C - p.O + o];
  }

  static void send_back(const Plan& p) {
    for (Index c = 0; c < p.C; ++c)
      p.back[c] = c < p.C - p.O ? splat(0.0f) : p.output_e[c - (p.C - p.O)];
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
