// One time step of any hidden layer, and the factors of its derivative.
#pragma once

#include "paths/plan.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

struct PathForward : Layer {
  using Layer::Layer;

  // Step k of the chunk. Sums of net inputs begin with start [U]. Lanes that are not live keep
  // their initial state, and their factors are zero, so that errors do not pass through them.
  void step(const Plan& p, Index k, const vec* start, const Factors& f, ivec live) const {
    hidden_nets(p, p.sources + k * p.n_sources, start);
    if (p.shape.memory())
      memory_cells(p, f, live);
    else
      simple_units(p, f, live);
    vec* next = hidden(p, k + 1);
    for (Index m = 0; m < p.n_fed; ++m) next[m] = live ? p.unit_y[p.fed[m]] : initial;
  }

 private:
  static vec where(ivec live, vec x) { return live ? x : splat(0.0f); }

  void simple_units(const Plan& p, const Factors& f, ivec live) const {
    const bool tanh = p.shape.kind == Kind::tanh;
    for (Index u = 0; u < p.U; ++u) {
      const vec y = tanh ? 2.0f * logistic(2.0f * p.nets[u]) - 1.0f : logistic(p.nets[u]);
      p.unit_y[u] = p.cell_out[u] = y;
      f.rate[u] = where(live, tanh ? 1.0f - y * y : logistic_slope(y));
    }
  }

  void memory_cells(const Plan& p, const Factors& f, ivec live) const {
    vec *y = p.unit_y, *s = p.state, *h_s = p.squashed;
    const Shape& shape = p.shape;
    const Index first = shape.first_cell(), outs = first + p.C;
    for (Index u = 0; u < p.U; ++u) {
      y[u] = logistic(p.nets[u]);
      f.rate[u] = where(live, logistic_slope(y[u]));
    }
    for (Index j = 0, c = 0; j < p.blocks; ++j) {
      const vec y_forget = where(live, shape.forget_gate ? y[p.blocks + j] : splat(1.0f));
      for (Index v = 0; v < shape.block_size; ++v, ++c) {
        const vec input = g.from_logistic(p.nets[first + c], y[first + c]);
        f.in[c] = f.rate[j] * input;
        f.forget[c] = shape.forget_gate ? f.rate[p.blocks + j] * s[c] : splat(0.0f);
        f.cell[c] = where(live, y[j] * g.slope(input));
        f.keep[c] = y_forget;
        s[c] = fma(where(live, y[j]), input, y_forget * s[c]);
      }
    }
    for (Index c = 0; c < p.C; ++c) h_s[c] = h.value(s[c]);
    for (Index j = 0, c = 0; j < p.blocks; ++j) {
      const vec y_out = shape.output_gate ? y[outs + j] : splat(1.0f);
      for (Index v = 0; v < shape.block_size; ++v, ++c) {
        f.through[c] = where(live, y_out * h.slope(h_s[c]));
        f.show[c] = shape.output_gate ? f.rate[outs + j] * h_s[c] : splat(0.0f);
        p.cell_out[c] = y_out * h_s[c];
      }
    }
    for (Index c = 0; c < p.C; ++c) y[first + c] = p.cell_out[c];
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
