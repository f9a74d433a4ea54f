// Output units, their errors, and the errors of cell outputs: equations (19) to (23).
#pragma once

#include "lanes/rows.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// A step at which some lanes have a target, and the errors of all lanes in their sequences so far.
struct Event {
  Index k;                // slot of the window
  Index number;           // of the event in the window
  ivec lanes;             // those with a target
  Index target[V];        // rows of their targets
  vec max_abs, sum_abs, sum_sq;

  bool wanted(int lane) const { return lanes[lane] != 0; }
  void count(vec error) {
    const vec size = absolute(error);
    max_abs = larger(max_abs, size);
    sum_abs += size;
    sum_sq = fma(error, error, sum_sq);
  }
};

// The events of a window that weights have not learned.
struct Events {
  Index count = 0;
  Index slots[kChunk];
  ivec lanes[kChunk];

  void add(const Event& event) { slots[count] = event.k, lanes[count++] = event.lanes; }
};

// The errors e_k of logistic outputs y whose targets are off by `error`: equation (19), or as the
// settings of the job change it.
struct OutputError {
  bool derivative;
  float floor, offset, tolerance;

  explicit OutputError(const Job& job)
      : derivative(job.output_derivative && !job.shape.united), floor(job.derivative_floor),
        offset(job.derivative_offset), tolerance(job.error_tolerance) {}

  // Whether errors are those of equation (19).
  bool plain() const { return derivative && floor == 0 && offset == 0 && tolerance == 0; }

  vec operator()(vec y, vec error) const {
    const vec met = absolute(error) < splat(tolerance) ? splat(0.0f) : error;
    return derivative ? met * (at_least(floor, logistic_slope(y)) + offset) : met;
  }
};

// The targets [V] of one output, in the lanes of the event.
struct Targets {
  const Lane* lanes;
  const Event& event;
  Index outputs;
  ivec classes{};

  Targets(const Lane* lanes, const Event& event, Index outputs)
      : lanes(lanes), event(event), outputs(outputs) {
    each_lane(event.lanes, [&](int lane) {
      if (lanes[lane].classes) classes[lane] = lanes[lane].classes[event.target[lane]];
    });
  }

  vec of(Index output) const {
    if (lanes[0].classes)
      return classes == isplat(static_cast<std::int32_t>(output)) ? splat(1.0f) : splat(0.0f);
    vec found{};
    each_lane(event.lanes, [&](int lane) {
      found[lane] = lanes[lane].targets[event.target[lane] * outputs + output];
    });
    return found;
  }
};

// Outputs held as columns. Their sources are the inputs (layered wiring) and the cells.
struct ColumnOutputs {
  static vec source(const Plan& p, Index k, Index q) {
    const Index inputs = p.n_seen - p.C;
    return q < inputs ? p.sources[k * p.n_sources + q] : p.cell_out[q - inputs];
  }
  // The same at an earlier event of the window.
  static vec source_of(const Plan& p, Index k, Index event, Index q) {
    const Index inputs = p.n_seen - p.C;
    return q < inputs ? p.sources[k * p.n_sources + q] : p.seen[event * p.C + q - inputs];
  }

  static void forward(const Plan& p, Index k) {
    in_blocks<8>(p.O, [&]<int Count>(Index first) {
      vec sum[Count];
      for (int i = 0; i < Count; ++i) sum[i] = p.output_b[first + i];
      for (Index q = 0; q < p.n_seen; ++q) {
        const vec x = source(p, k, q);
        for (int i = 0; i < Count; ++i) sum[i] = fma(p.output_w[q * p.O + first + i], x, sum[i]);
      }
      for (int i = 0; i < Count; ++i) p.output_y[first + i] = logistic(sum[i]);
    });
  }

  static void errors(const Plan& p, const Lane* lanes, Event& event,
                     const OutputError& output_error) {
    const Targets targets(lanes, event, p.O);
    vec* const e = p.output_e + event.number * p.O;
    for (Index o = 0; o < p.O; ++o) {
      const vec y = p.output_y[o];
      const vec error = event.lanes ? targets.of(o) - y : splat(0.0f);
      event.count(error);
      e[o] = event.lanes ? output_error(y, error) : splat(0.0f);
    }
    // Cells of other lanes may have overflowed.
    for (Index c = 0; c < p.C; ++c)
      p.seen[event.number * p.C + c] = event.lanes ? p.cell_out[c] : splat(0.0f);
  }

  static void send_back(const Plan& p, const Event& event) {
    const vec* const e = p.output_e + event.number * p.O;
    for (Index c = 0; c < p.C; ++c) {
      const vec* const w = p.output_w + (p.n_seen - p.C + c) * p.O;
      vec sum = splat(0.0f);
      for (Index o = 0; o < p.O; ++o) sum = fma(w[o], e[o], sum);
      p.back[c] = sum;
    }
  }

  // Equation (22): adds the products of the window's events to weights (`scale` is the learning
  // rate) or gradients (`scale` is 1), in the lanes of each event.
  static void learn(const Plan& p, const Events& events, vec scale) {
    vec* const into = p.accumulate ? p.output_g : p.output_w;
    const vec* const factors = p.at_once(p.output_f);
    if (events.count == 1) {
      learn_one(p, events, scale, into);
    } else in_blocks<4>(p.n_seen, [&]<int Count>(Index first) {
      for (Index o = 0; o < p.O; ++o) {
        vec sum[Count];
        for (int i = 0; i < Count; ++i) sum[i] = into[(first + i) * p.O + o];
        for (Index n = 0; n < events.count; ++n) {
          const vec e = scale * p.output_e[n * p.O + o];
          for (int i = 0; i < Count; ++i)
            change(events.lanes[n], sum[i], e, factors, (first + i) * p.O + o,
                   source_of(p, events.slots[n], n, first + i));
        }
        for (int i = 0; i < Count; ++i) into[(first + i) * p.O + o] = sum[i];
      }
    });
    if (!p.shape.output_bias) return;
    vec* const bias = p.accumulate ? p.output_gb : p.output_b;
    const vec* const bias_factors = p.at_once(p.output_fb);
    for (Index o = 0; o < p.O; ++o)
      for (Index n = 0; n < events.count; ++n)
        change(events.lanes[n], bias[o], scale, bias_factors, o, p.output_e[n * p.O + o]);
  }

  // The same for one event.
  static void learn_one(const Plan& p, const Events& events, vec scale, vec* into) {
    const vec *factors = p.at_once(p.output_f), *e = p.output_e;
    const Index outputs = p.O;
    const ivec lanes = events.lanes[0];
    for (Index q = 0; q < p.n_seen; ++q, into += outputs) {
      const vec x = source_of(p, events.slots[0], 0, q);
      for (Index o = 0; o < outputs; ++o)
        change(lanes, into[o], scale * e[o], factors, q * outputs + o, x);
    }
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

  static void send_back(const Plan& p, const Event& event) {
    const vec* const e = p.output_e + event.number * p.O;
    for (Index c = 0; c < p.C; ++c)
      p.back[c] = c < p.C - p.O ? splat(0.0f) : e[c - (p.C - p.O)];
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
