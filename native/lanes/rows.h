// Symbols of a large alphabet: weights and traces in one short row per lane and symbol, so that a
// step accesses the row of its symbol only.
#pragma once

#include "lanes/traces.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr std::int32_t kNoSymbol = -1;  // the lane is not live at this step

// Arithmetic on rows, lane by lane. Four floats of every lane at a time are transposed to columns.
struct Rows {
  alignas(64) std::int32_t symbol[kChunk][V];

  // Net inputs from the symbols of `steps` steps, including biases.
  void load(const Plan& p, Index steps) const {
    for (Index k = 0; k < steps; ++k)
      for (Index u = 0; u < p.row_weights; u += 4) {
        const float* row[V];
        for (int lane = 0; lane < V; ++lane)
          row[lane] = p.row(lane, symbol[k][lane] < 0 ? 0 : symbol[k][lane]) + u;
        vec c[4];
        columns_from(row, c);
        for (int i = 0; i < 4; ++i) {
          vec* net = p.input_nets + k * p.row_weights + u + i;
          *net = u + i < p.U ? c[i] + p.hidden_b[u + i] : c[i];
        }
      }
  }

  // Adds the factors of each step to the trace row of its symbol.
  void gather(const Plan& p, Index steps) const {
    for (Index k = 0; k < steps; ++k)
      for (Index f = 0; f < p.row_traces; f += 4) {
        vec c[4];
        for (int i = 0; i < 4; ++i)
          c[i] = f + i < p.F ? p.factors[k * p.row_traces + f + i] : splat(0.0f);
        transpose_groups(c[0], c[1], c[2], c[3]);
        for (int lane = 0; lane < V; ++lane) {
          if (symbol[k][lane] < 0) continue;
          quad* row = reinterpret_cast<quad*>(p.trace_row(lane, symbol[k][lane]) + f);
          *row += reinterpret_cast<const quad*>(&c[lane % 4])[lane / 4];
        }
      }
  }

  // Lists the symbols of the lane's sequence, each symbol once. `number` identifies the sequence.
  void remember(const Plan& p, int lane, Index steps, std::int64_t number) const {
    for (Index k = 0; k < steps; ++k) {
      const std::int32_t s = symbol[k][lane];
      if (s < 0 || p.stamp[lane * p.I + s] == number) continue;
      p.stamp[lane * p.I + s] = number;
      p.touched[lane * p.I + p.touched_count[lane]++] = s;
    }
  }

  // Forgets the symbols of `lanes` in this window.
  void drop(ivec lanes, Index steps) {
    for (Index k = 0; k < steps; ++k) {
      ivec& now = *reinterpret_cast<ivec*>(symbol[k]);
      now = lanes ? isplat(kNoSymbol) : now;
    }
  }

  // Changes weight i of a row as change() in plan.h does, and four of them from weight i on.
  static void change_one(float& weight, float rate, const float* factors, Index i, float by) {
    if (factors && factors[i] == 0.0f) return;
    weight = fma(factors ? rate * factors[i] : rate, by, weight);
  }
  static void change_four(quad& weight, quad rate, const float* factors, Index i, quad by) {
    if (!factors) {
      weight = fma(rate, by, weight);
      return;
    }
    const quad factor = *reinterpret_cast<const quad*>(factors + i);
    weight = factor != quad{} ? fma(rate * factor, by, weight) : weight;
  }

  // Equations (26) and (28) for the row of one symbol: adds error [F] times trace [F] to weights or
  // gradients. `error` holds a lane's cell errors twice, for traces of input gates and of cells.
  // `factors` of `scale` are a row of weights, or null.
  static void add_traced(const Plan& p, const float* trace, const float* error, float* into,
                         float scale, const float* factors) {
    if (p.shape.block_size == 1) {  // weights and traces have the same order
      for (Index f = 0; f < p.row_traces; f += 4)
        change_four(*reinterpret_cast<quad*>(into + f),
                    scale * *reinterpret_cast<const quad*>(error + f), factors, f,
                    *reinterpret_cast<const quad*>(trace + f));
      return;
    }
    for (Index j = 0, c = 0; j < p.blocks; ++j) {
      float gate = 0.0f;
      for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
        gate = fma(error[c], trace[c], gate);
        change_one(into[p.blocks + c], scale * error[c], factors, p.blocks + c, trace[p.C + c]);
      }
      change_one(into[j], scale, factors, j, gate);
    }
  }

  static float element(const vec* v, int lane) { return reinterpret_cast<const float*>(v)[lane]; }

  static const float* take_errors(const Plan& p, const vec* error, int lane) {
    for (Index c = 0; c < p.C; ++c)
      p.row_error[c] = p.row_error[p.C + c] = element(error + c, lane);
    return p.row_error;
  }

  // Changes the rows of all symbols of this sequence by the errors of step k.
  void learn_step(const Plan& p, int lane, Index k, float rate) const {
    const float* error = take_errors(p, p.error_cell + k * p.C, lane);
    for (std::int32_t i = 0; i < p.touched_count[lane]; ++i) {
      const std::int32_t s = p.touched[lane * p.I + i];
      add_traced(p, p.trace_row(lane, s), error, p.row(lane, s), rate, p.factor_row(lane, s));
    }
    if (!p.shape.output_gate) return;
    float* weight = p.row(lane, symbol[k][lane]);
    const float* factors = p.factor_row(lane, symbol[k][lane]);
    for (Index u = p.blocks + p.C, j = 0; j < p.blocks; ++u, ++j) {
      change_one(weight[u], rate, factors, u, element(p.error_gate + k * p.blocks + j, lane));
    }
  }

  // The gradient of a chunk as in learn_chunk(), first part: the products of its own steps.
  void spread(const Plan& p, int lane, Index steps) const {
    for (Index k = 0; k < steps; ++k) {
      if (symbol[k][lane] < 0) continue;
      float* gradient = p.gradient_row(lane, symbol[k][lane]);
      for (Index u = 0; u < p.U; ++u) gradient[u] += element(p.spread + k * p.U + u, lane);
    }
  }

  // Second part: the traces from before the chunk.
  static void reach(const Plan& p, int lane) {
    const float* error = take_errors(p, p.reach, lane);
    for (std::int32_t i = 0; i < p.touched_count[lane]; ++i) {
      const std::int32_t s = p.touched[lane * p.I + i];
      add_traced(p, p.trace_row(lane, s), error, p.gradient_row(lane, s), 1.0f, nullptr);
    }
  }

  // The same if this sequence has no more errors. Traces and gradients are cleared when they are
  // used, so a repeated symbol adds nothing the second time and no list of symbols is needed.
  static void reach_and_apply(const Plan& p, int lane, const std::int32_t* symbols, Index steps,
                              float rate) {
    const float* error = take_errors(p, p.reach, lane);
    const bool aligned = p.shape.block_size == 1 && !p.output_rows;
    for (Index t = 0; t < steps; ++t) {
      const Index s = symbols[t];
      float* gradient = p.gradient_row(lane, s);
      if (aligned && t + kChunk < steps) {  // all gradients come from traces: one pass
        quad* weight = reinterpret_cast<quad*>(p.row(lane, s));
        const float* factors = p.factor_row(lane, s);
        for (Index f = 0; f < p.row_traces / 4; ++f) {
          quad& trace = reinterpret_cast<quad*>(p.trace_row(lane, s))[f];
          quad& gathered = reinterpret_cast<quad*>(gradient)[f];
          const quad change = fma(reinterpret_cast<const quad*>(error)[f], trace, gathered);
          change_four(weight[f], rate - quad{}, factors, 4 * f, change);
          gathered = trace = quad{};
        }
        continue;
      }
      add_traced(p, p.trace_row(lane, s), error, gradient, 1.0f, nullptr);
      clear_trace(p, lane, s);
      apply(p, lane, s, rate);
    }
  }

  static void clear_trace(const Plan& p, int lane, Index symbol) {
    quad* trace = reinterpret_cast<quad*>(p.trace_row(lane, symbol));
    for (Index f = 0; f < p.row_traces / 4; ++f) trace[f] = quad{};
  }

  // Changes weights of one symbol by their gradients, and clears the gradients.
  static void apply(const Plan& p, int lane, Index symbol, float rate) {
    quad* weight = reinterpret_cast<quad*>(p.row(lane, symbol));
    quad* gradient = reinterpret_cast<quad*>(p.gradient_row(lane, symbol));
    const float* factors = p.factor_row(lane, symbol);
    for (Index u = 0; u < p.row_weights / 4; ++u) {
      change_four(weight[u], rate - quad{}, factors, 4 * u, gradient[u]);
      gradient[u] = quad{};
    }
    if (!p.output_rows) return;
    float* output = p.output_row(p.output_table, lane, symbol);
    float* output_gradient = p.output_row(p.output_table_g, lane, symbol);
    const float* output_factors = p.scaled ? p.output_row(p.output_table_f, lane, symbol) : nullptr;
    for (Index o = 0; o < p.padded_outputs; ++o) {
      change_one(output[o], rate, output_factors, o, output_gradient[o]);
      output_gradient[o] = 0.0f;
    }
  }

  // After a sequence: clears its traces, and applies gradients if asked.
  static void finish(const Plan& p, int lane, float rate, bool apply_gradients) {
    for (std::int32_t i = 0; i < p.touched_count[lane]; ++i) {
      const std::int32_t symbol = p.touched[lane * p.I + i];
      clear_trace(p, lane, symbol);
      if (apply_gradients) apply(p, lane, symbol, rate);
    }
    p.touched_count[lane] = 0;
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
