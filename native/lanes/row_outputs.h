// Outputs that read symbols of a large alphabet: lane by lane, with vectors along the outputs.
//
// Sums over outputs are taken in strips of 16 numbers on every instruction set, so that their
// rounding does not depend on V.
#pragma once

#include "lanes/outputs.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr int kParts = kStrip / V;  // vectors of a strip

// Sixteen sums, and the sum of these.
struct Strip {
  vec part[kParts] = {};

  quad quarter(int i) const { return reinterpret_cast<const quad*>(part)[i]; }
  float total() const {
    const quad four = (quarter(0) + quarter(2)) + (quarter(1) + quarter(3));
    return (four[0] + four[2]) + (four[1] + four[3]);
  }
  // The largest of sixteen numbers that are not negative; NaN counts as the largest.
  float largest() const {
    std::int32_t most = 0;
    for (int i = 0; i < kStrip; ++i) {
      const std::int32_t bits = reinterpret_cast<const std::int32_t*>(part)[i];
      most = bits > most ? bits : most;
    }
    float found;
    __builtin_memcpy(&found, &most, sizeof found);
    return found;
  }
};

// 1 / b for b in [1, 1e38], with an error of less than two units in the last place: two steps of
// Newton's method from a first guess by the bits. A division would take three times as long.
inline vec reciprocal(vec b) {
  vec r = (vec)(isplat(0x7ef311c3) - (ivec)b);  // wrong by up to 5 %
  vec wrong = fma(-b, r, splat(1.0f));
  r = fma(r, fma(wrong, wrong, wrong), r);
  wrong = fma(-b, r, splat(1.0f));
  return fma(r, wrong, r);
}

struct RowOutputs {
  struct View {
    Index size;
    vec *w, *b, *e, *input, *g, *gb;
    vec* input_g;  // gradients of the symbol's row; without gradients, the row itself
    const vec *f, *fb, *input_f;  // factors of the learning rate; null if all are 1
    View(const Plan& p, int lane, Index symbol) : size(p.padded_outputs / V) {
      const auto as_vec = [](float* f) { return reinterpret_cast<vec*>(f); };
      const Index at = lane * p.padded_outputs;
      w = as_vec(p.output_row_w + at * p.C), g = as_vec(p.output_row_g + at * p.C);
      b = as_vec(p.output_row_b + at), gb = as_vec(p.output_row_gb + at);
      e = as_vec(p.output_row_e + at);
      input = as_vec(p.output_row(p.output_table, lane, symbol));
      input_g = p.accumulate ? as_vec(p.output_row(p.output_table_g, lane, symbol)) : input;
      f = p.scaled ? as_vec(p.output_row_f + at * p.C) : nullptr;
      fb = p.scaled ? as_vec(p.output_row_fb + at) : nullptr;
      input_f = p.scaled ? as_vec(p.output_row(p.output_table_f, lane, symbol)) : nullptr;
    }
  };

  // Outputs V i to V i + V. `cells` are the activations of one lane, V numbers apart.
  static vec output(const View& view, const float* cells, Index count, Index i) {
    vec sum = view.b[i] + view.input[i];
    for (Index c = 0; c < count; ++c) sum = fma(view.w[c * view.size + i], splat(cells[c * V]), sum);
    return reciprocal(exp_of_minus<Rounding::once>(sum) + 1.0f);
  }
  static const float* cells(const Plan& p, int lane) {
    return reinterpret_cast<const float*>(p.cell_out) + lane;
  }

  static void predict(const Plan& p, int lane, Index symbol, float* outputs) {
    const View view(p, lane, symbol);
    for (Index i = 0; i * V < p.O; ++i) {
      const vec y = output(view, cells(p, lane), p.C, i);
      const Index left = p.O - i * V;
      __builtin_memcpy(outputs + i * V, &y, sizeof(float) * (left < V ? left : V));
    }
  }

  static void errors(const Plan& p, int lane, Index symbol, const Lane& source, Event& event,
                     const OutputError& output_error) {
    const Index row = event.target[lane], outputs = p.O;
    const auto with = [&](auto goal) {
      if (output_error.plain())
        errors_to(p, lane, symbol, event, goal, [](vec y, vec error) {
          return error * logistic_slope(y);
        });
      else
        errors_to(p, lane, symbol, event, goal, output_error);
    };
    if (source.classes) {
      const ivec right = isplat(source.classes[row]) - numbered();
      with([right](Index i) {
        return right == isplat(static_cast<std::int32_t>(i) * V) ? splat(1.0f) : splat(0.0f);
      });
    } else {
      const float* targets = source.targets + row * outputs;
      with([targets, outputs](Index i) {
        const Index left = outputs - i * V;
        vec goal{};
        if (left > 0)
          __builtin_memcpy(&goal, targets + i * V, sizeof(float) * (left < V ? left : V));
        return goal;
      });
    }
  }

  static void send_back(const Plan& p, int lane) {
    const View view(p, lane, 0);
    const Index count = p.C;
    for (Index c = 0; c < count; ++c) {
      const vec* const w = view.w + c * view.size;
      Strip sums;
      for (Index i = 0; i < view.size; i += kParts)
        for (int j = 0; j < kParts; ++j) sums.part[j] = fma(w[i + j], view.e[i + j], sums.part[j]);
      p.back[c][lane] = sums.total();
    }
  }

  static void learn(const Plan& p, int lane, Index symbol, float scale) {
    const View view(p, lane, symbol);
    vec* const w = p.accumulate ? view.g : view.w;
    vec* const b = p.accumulate ? view.gb : view.b;
    const Index size = view.size;
    add(view.input_g, view.e, p.at_once(view.input_f), size, scale);
    if (p.shape.output_bias) add(b, view.e, p.at_once(view.fb), size, scale);
    const vec* const f = p.at_once(view.f);
    for (Index c = 0, count = p.C; c < count; ++c)
      add(w + c * size, view.e, f ? f + c * size : nullptr, size, scale * cells(p, lane)[c * V]);
  }

  // Changes the row of one symbol by its gradient, and clears the gradient.
  static void apply_symbol(const Plan& p, int lane, Index symbol, float rate) {
    const View view(p, lane, symbol);
    apply_all(view.input, view.input_g, view.input_f, view.size, rate);
  }

  // Changes weights of cells and biases by their gradients, and clears the gradients.
  static void apply(const Plan& p, int lane, float rate) {
    const View view(p, lane, 0);
    apply_all(view.w, view.g, view.f, p.C * view.size, rate);
    apply_all(view.b, view.gb, view.fb, view.size, rate);
  }

 private:
  static void add(vec* sum, const vec* by, const vec* factors, Index count, float scale) {
    if (factors)
      for (Index i = 0; i < count; ++i)
        change(isplat(-1), sum[i], splat(scale), factors, i, by[i]);
    else
      for (Index i = 0; i < count; ++i) sum[i] = fma(splat(scale), by[i], sum[i]);
  }

  static void apply_all(vec* weight, vec* gradient, const vec* factors, Index count, float rate) {
    add(weight, gradient, factors, count, rate);
    clear(gradient, count);
  }

  static ivec numbered() {
    ivec number;
    for (int i = 0; i < V; ++i) number[i] = i;
    return number;
  }

  // goal(i) is the target of outputs V i to V i + V. Errors of outputs that do not exist are zero.
  template <class Goal, class Error>
  static void errors_to(const Plan& p, int lane, Index symbol, Event& event, Goal goal,
                        const Error& output_error) {
    const View view(p, lane, symbol);
    const float* const x = cells(p, lane);
    const Index count = p.C, whole = p.O / V;
    const ivec last = isplat(static_cast<std::int32_t>(p.O - whole * V)) - numbered();
    Strip worst, sum, squares;
    for (Index first = 0; first < view.size; first += kParts)
      for (int j = 0; j < kParts; ++j) {
        const Index i = first + j;
        const vec y = output(view, x, count, i);
        vec error = goal(i) - y;
        if (i >= whole)
          error = last > isplat(static_cast<std::int32_t>(i - whole) * V) ? error : splat(0.0f);
        const vec size = absolute(error);
        const ivec bits = (ivec)size, most = (ivec)worst.part[j];
        worst.part[j] = (vec)(bits > most ? bits : most);
        sum.part[j] += size;
        squares.part[j] = fma(error, error, squares.part[j]);
        view.e[i] = output_error(y, error);
      }
    event.max_abs[lane] = larger(event.max_abs[lane], worst.largest());
    event.sum_abs[lane] += sum.total();
    event.sum_sq[lane] += squares.total();
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
