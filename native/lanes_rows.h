// Symbols of a large alphabet: weights and traces as one short row per lane and symbol, so that a
// step reads and writes the row of its symbol and nothing else.
#pragma once

#include "lanes_traces.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr std::int32_t kNoSymbol = -1;  // the lane is not live at this step

// Row arithmetic goes lane by lane; rows of four floats at a time become columns and back.
struct Rows {
  alignas(64) std::int32_t symbol[kChunk][V];

  // Net inputs from the current symbols of `steps` steps, biases included.
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

  // Remembers which symbols each lane has seen in this sequence, each once.
  void remember(const Plan& p, Index steps, std::int64_t round) const {
    for (Index k = 0; k < steps; ++k)
      for (int lane = 0; lane < V; ++lane) {
        const std::int32_t s = symbol[k][lane];
        if (s < 0 || p.stamp[lane * p.I + s] == round) continue;
        p.stamp[lane * p.I + s] = round;
        p.touched[lane * p.I + p.touched_count[lane]++] = s;
      }
  }

  // Equations (26) and (28) for the row of one symbol; errors are those of take_errors().
  static void learn_row(const Plan& p, int lane, Index symbol, float rate, bool direct) {
    float* weight = p.row(lane, symbol);
    float* gradient = p.accumulate ? p.gradient_row(lane, symbol) : weight;
    const float* trace = p.trace_row(lane, symbol);
    const float* error = p.row_error;
    if (p.shape.block_size == 1) {  // weights and traces then stand in the same order
      for (Index f = 0; f < p.row_traces; f += 4) {
        const quad by = *reinterpret_cast<const quad*>(error + f) *
                        *reinterpret_cast<const quad*>(trace + f);
        if (direct)
          *reinterpret_cast<quad*>(weight + f) += rate * by;
        else
          *reinterpret_cast<quad*>(gradient + f) += by;
      }
      return;
    }
    for (Index j = 0, c = 0; j < p.B; ++j) {
      float gate = 0.0f;
      for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
        gate += error[c] * trace[c];
        move(weight[p.B + c], gradient[p.B + c], error[c] * trace[p.C + c], rate, direct);
      }
      move(weight[j], gradient[j], gate, rate, direct);
    }
  }

  // A lane's cell errors, once for the traces of input gates and once for those of cells.
  static void take_errors(const Plan& p, int lane) {
    for (Index c = 0; c < p.C; ++c)
      p.row_error[c] = p.row_error[p.C + c] =
          reinterpret_cast<const float*>(p.error_cell + c)[lane];
  }

  // Output gates, equation (22): they have no traces, so only the current symbol's row changes.
  static void learn_output_gates(const Plan& p, int lane, Index symbol, float rate, bool direct) {
    if (!p.shape.output_gate) return;
    float* weight = p.row(lane, symbol) + p.B + p.C;
    float* gradient = p.accumulate ? p.gradient_row(lane, symbol) + p.B + p.C : weight;
    for (Index j = 0; j < p.B; ++j)
      move(weight[j], gradient[j], reinterpret_cast<const float*>(p.error_gate + j)[lane], rate,
           direct);
  }

  // Every row this sequence has touched, while more errors may come.
  static void learn(const Plan& p, int lane, Index current, float rate, bool direct) {
    take_errors(p, lane);
    for (std::int32_t i = 0; i < p.touched_count[lane]; ++i)
      learn_row(p, lane, p.touched[lane * p.I + i], rate, direct);
    learn_output_gates(p, lane, current, rate, direct);
  }

  // The same for the only error of a sequence, at its end: traces are used up on the way, so a
  // symbol met twice adds nothing the second time and none has to be remembered.
  static void learn_once(const Plan& p, int lane, const std::int32_t* symbols, Index steps,
                         float rate, bool direct) {
    take_errors(p, lane);
    for (Index t = 0; t < steps; ++t) {
      learn_row(p, lane, symbols[t], rate, direct);
      clear(p, lane, symbols[t]);
    }
    learn_output_gates(p, lane, symbols[steps - 1], rate, direct);
  }

  static void clear(const Plan& p, int lane, Index symbol) {
    quad* trace = reinterpret_cast<quad*>(p.trace_row(lane, symbol));
    for (Index f = 0; f < p.row_traces / 4; ++f) trace[f] = quad{};
  }

  // Moves one weight now, or its gradient.
  static void move(float& weight, float& gradient, float by, float rate, bool direct) {
    if (direct)
      weight += rate * by;
    else
      gradient += by;
  }

  // Applies gradients gathered in the rows of one symbol, and clears them.
  static void apply(const Plan& p, int lane, Index symbol, float rate) {
    float* weight = p.row(lane, symbol);
    float* gradient = p.gradient_row(lane, symbol);
    for (Index u = 0; u < p.U; ++u) weight[u] += rate * gradient[u], gradient[u] = 0.0f;
    if (!p.output_rows) return;
    weight = p.output_row(p.output_table, lane, symbol);
    gradient = p.output_row(p.output_table_g, lane, symbol);
    for (Index o = 0; o < p.padded_outputs; ++o)
      weight[o] += rate * gradient[o], gradient[o] = 0.0f;
  }

  // After a sequence: its traces go, and what it gathered is applied if it is time.
  static void finish(const Plan& p, int lane, float rate, bool apply_gradients) {
    for (std::int32_t i = 0; i < p.touched_count[lane]; ++i) {
      const std::int32_t symbol = p.touched[lane * p.I + i];
      clear(p, lane, symbol);
      if (apply_gradients) apply(p, lane, symbol, rate);
    }
    p.touched_count[lane] = 0;
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
