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

// The errors e_k of logistic outputs y whose targets are off by `error`: equation (19), or as the
// settings of the job change it.
struct OutputError {
  bool derivative;
  float floor, offset, tolerance;

  explicit OutputError(const Job& job)
      : derivative(job.output_derivative && !job.shape.united), floor(job.derivative_floor),
        offset(job.derivative_offset), tolerance(job.error_tolerance) {}

  vec operator()(vec y, vec error) const {
    const vec met = absolute(error) < splat(tolerance) ? splat(0.0f) : error;
    return derivative ? met * (at_least(floor, logistic_slope(y)) + offset) : met;
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

  static void errors(const Plan& p, const Lane* lanes, Event& event, const OutputError& e) {
    const ivec mask = event.mask();
    for (Index o = 0; o < p.O; ++o) {
      vec goal = p.output_y[o];
      for (int lane = 0; lane < V; ++lane)
        if (event.wanted(lane)) goal[lane] = target_of(lanes[lane], event.target[lane], o, p.O);
      const vec y = p.output_y[o];
      const vec error = mask ? goal - y : splat(0.0f);
      event.count(error);
      p.output_e[o] = e(y, error);
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
    const vec* factors = p.at_once(p.output_f);
    for (Index q = 0; q < p.n_seen; ++q) {
      const vec x = source(p, k, q);
      for (Index o = 0; o < p.O; ++o)
        change(lanes, into[q * p.O + o], scale, factors, q * p.O + o, p.output_e[o] * x);
    }
    if (!p.shape.output_bias) return;
    into = p.accumulate ? p.output_gb : p.output_b;
    factors = p.at_once(p.output_fb);
    for (Index o = 0; o < p.O; ++o)
      change(lanes, into[o], scale, factors, o, p.output_e[o]);
  }

  static void apply(const Plan& p, vec rate, ivec lanes) {
    using carrousel::CARROUSEL_ISA::apply;
    apply(p.output_w, p.output_g, p.output_f, p.n_seen * p.O, rate, lanes);
    apply(p.output_b, p.output_gb, p.output_fb, p.O, rate, lanes);
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

// Outputs that read symbols of a large alphabet: lane by lane, with vectors along the outputs.
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

  static vec net(const Plan& p, const View& view, int lane, Index i) {
    vec sum = view.b[i] + view.input[i];
    for (Index c = 0; c < p.C; ++c) sum += view.w[c * view.size + i] * p.cell_out[c][lane];
    return sum;
  }

  static void predict(const Plan& p, int lane, Index symbol, float* outputs) {
    const View view(p, lane, symbol);
    for (Index i = 0; i < view.size; ++i) {
      const vec y = logistic(net(p, view, lane, i));
      const Index left = p.O - i * V;
      __builtin_memcpy(outputs + i * V, &y, sizeof(float) * (left < V ? left : V));
    }
  }

  static void errors(const Plan& p, int lane, Index symbol, const Lane& source, Event& event,
                     const OutputError& e) {
    const View view(p, lane, symbol);
    vec worst = splat(0.0f), sum = splat(0.0f), squares = splat(0.0f);
    const Index row = event.target[lane];
    ivec output;
    for (int i = 0; i < V; ++i) output[i] = i;
    for (Index i = 0; i < view.size; ++i, output += isplat(V)) {
      vec goal;
      if (source.classes)
        goal = output == isplat(source.classes[row]) ? splat(1.0f) : splat(0.0f);
      else
        for (Index o = 0; o < V; ++o)
          goal[o] = i * V + o < p.O ? source.targets[row * p.O + i * V + o] : 0.0f;
      const vec y = logistic(net(p, view, lane, i));
      const vec error = output < isplat(static_cast<std::int32_t>(p.O)) ? goal - y : splat(0.0f);
      worst = larger(worst, absolute(error));
      sum += absolute(error);
      squares += error * error;
      view.e[i] = e(y, error);
    }
    for (int i = 0; i < V; ++i) {
      event.max_abs[lane] = larger(event.max_abs[lane], worst[i]);
      event.sum_abs[lane] += sum[i];
      event.sum_sq[lane] += squares[i];
    }
  }

  static void send_back(const Plan& p, int lane) {
    const View view(p, lane, 0);
    for (Index c = 0; c < p.C; ++c) {
      vec sums = splat(0.0f);
      for (Index i = 0; i < view.size; ++i) sums += view.w[c * view.size + i] * view.e[i];
      float sum = 0.0f;
      for (int i = 0; i < V; ++i) sum += sums[i];
      p.back[c][lane] = sum;
    }
  }

  static void learn(const Plan& p, int lane, Index symbol, float scale) {
    const View view(p, lane, symbol);
    vec* const w = p.accumulate ? view.g : view.w;
    vec* const b = p.accumulate ? view.gb : view.b;
    const vec *f = p.at_once(view.f), *fb = p.at_once(view.fb), *input_f = p.at_once(view.input_f);
    for (Index i = 0; i < view.size; ++i) {
      const vec e = scale * view.e[i];
      view.input_g[i] += input_f ? input_f[i] * e : e;
      if (p.shape.output_bias) b[i] += fb ? fb[i] * e : e;
      for (Index c = 0; c < p.C; ++c) {
        const vec change = e * p.cell_out[c][lane];
        w[c * view.size + i] += f ? f[c * view.size + i] * change : change;
      }
    }
  }

  // Changes the row of one symbol by its gradient, and clears the gradient.
  static void apply_symbol(const Plan& p, int lane, Index symbol, float rate) {
    const View view(p, lane, symbol);
    apply(view.input, view.input_g, view.input_f, view.size, rate);
  }

  // Changes weights of cells and biases by their gradients, and clears the gradients.
  static void apply(const Plan& p, int lane, float rate) {
    const View view(p, lane, 0);
    apply(view.w, view.g, view.f, p.C * view.size, rate);
    apply(view.b, view.gb, view.fb, view.size, rate);
  }

 private:
  static void apply(vec* weight, vec* gradient, const vec* factors, Index count, float rate) {
    for (Index i = 0; i < count; ++i)
      weight[i] += rate_of(splat(rate), factors, i) * gradient[i], gradient[i] = splat(0.0f);
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
