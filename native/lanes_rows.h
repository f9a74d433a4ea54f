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
        alignas(64) float block[4][V];
        for (int lane = 0; lane < V; ++lane) {
          const std::int32_t s = symbol[k][lane] < 0 ? 0 : symbol[k][lane];
          *reinterpret_cast<quad*>(&block[lane % 4][lane / 4 * 4]) =
              *reinterpret_cast<const quad*>(p.row(lane, s) + u);
        }
        vec c[4];
        for (int i = 0; i < 4; ++i) c[i] = *reinterpret_cast<const vec*>(block[i]);
        transpose_groups(c[0], c[1], c[2], c[3]);
        for (int i = 0; i < 4; ++i) {
          vec* net = p.input_nets + k * p.row_weights + u + i;
          *net = u + i < p.U ? c[i] + p.hidden_b[u + i] : c[i];
        }
      }
  }

  // Adds the factors of each step to the trace row of its symbol; remembers which rows it touched.
  void gather(const Plan& p, Index steps, std::int64_t round) const {
    for (Index k = 0; k < steps; ++k) {
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
      for (int lane = 0; lane < V; ++lane) touch(p, lane, symbol[k][lane], round);
    }
  }

  static void touch(const Plan& p, int lane, std::int32_t symbol, std::int64_t round) {
    if (symbol < 0 || p.stamp[lane * p.I + symbol] == round) return;
    p.stamp[lane * p.I + symbol] = round;
    p.touched[lane * p.I + p.touched_count[lane]++] = symbol;
  }

  // Moves one weight now (direct) or its gradient (p.accumulate and more errors to come).
  static void move(float* weight, float* gradient, float by, float rate, bool direct) {
    if (direct)
      *weight += rate * by;
    else
      *gradient += by;
  }

  // Hidden weights from symbols, equations (22), (26), (28): error times trace for each row this
  // sequence touched, and the output gates' rows of the current symbol.
  static void learn(const Plan& p, int lane, std::int32_t current, float rate, bool direct) {
    const auto error = [lane](const vec* e, Index i) {
      return reinterpret_cast<const float*>(e + i)[lane];
    };
    const Index size = p.shape.block_size;
    for (std::int32_t i = 0; i < p.touched_count[lane]; ++i) {
      const std::int32_t symbol = p.touched[lane * p.I + i];
      float* weight = p.row(lane, symbol);
      float* gradient = p.accumulate ? p.gradient_row(lane, symbol) : weight;
      const float* trace = p.trace_row(lane, symbol);
      for (Index j = 0, c = 0; j < p.B; ++j) {
        float gate = 0.0f;
        for (Index v = 0; v < size; ++v, ++c) {
          gate += error(p.error_cell, c) * trace[c];
          const float by = error(p.error_cell, c) * trace[p.C + c];
          move(weight + p.B + c, gradient + p.B + c, by, rate, direct);
        }
        move(weight + j, gradient + j, gate, rate, direct);
      }
    }
    if (!p.shape.output_gate) return;
    float* weight = p.row(lane, current) + p.B + p.C;
    float* gradient = p.accumulate ? p.gradient_row(lane, current) + p.B + p.C : weight;
    for (Index j = 0; j < p.B; ++j)
      move(weight + j, gradient + j, error(p.error_gate, j), rate, direct);
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
      float* trace = p.trace_row(lane, symbol);
      for (Index f = 0; f < p.row_traces; ++f) trace[f] = 0.0f;
      if (apply_gradients) apply(p, lane, symbol, rate);
    }
    p.touched_count[lane] = 0;
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
