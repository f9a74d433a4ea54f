// The memory of paths.cc besides Plan: the tape of back-propagation, the sensitivities of real-time
// recurrent learning, or the traces of the truncated gradient with forget gates.
//
// S includes all inputs or symbols. n is the size of the full state: U activations, then C states
// of memory cells.
#pragma once

#include "lanes/errors.h"
#include "lanes/rounds.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Derivatives of one step's state by its net inputs and the cell states before:
//   dy_u = rate_u dnet_u                                         for simple units and gates
//   ds_c = keep_c ds_c(t-1) + in_c dnet_in + forget_c dnet_forget + cell_c dnet_c
//   dy_c = through_c ds_c + show_c dnet_out
struct Factors {
  vec *rate, *in, *forget, *cell, *keep, *through, *show;

  static Index count(const Plan& p) { return p.U + (p.shape.memory() ? 6 * p.C : 0); }

  Factors(const Plan& p, vec* at)
      : rate(at), in(at + p.U), forget(in + p.C), cell(forget + p.C), keep(cell + p.C),
        through(keep + p.C), show(through + p.C) {}
};

enum class Way : int { predict, back, forward, traces, restricted, rank_one };

struct PathPlan {
  Way way;
  Index depth, stride;   // of Job; depth is at most the longest sequence
  Index slots;           // steps that fit on the tape
  Index S, n, inputs;    // inputs: sources that are symbols with gathered weights
  Index kept;            // numbers in p for each hidden weight
  bool chunked;          // sensitivities move by chunks of steps
  const float* paths;    // of Job
  bool keeps_weights;    // of chunked.h: as they change, or because only some are paths

  vec *sources;          // [slots + 1, Plan::n_sources] the tape; Plan::sources points into it
  vec *factors;          // [slots, Factors::count]
  vec *met;              // [slots, C] errors of cell outputs that are not propagated yet
  vec *error_y, *error_s, *error_net;  // [U] [C] [U]
  vec *spread;           // [kChunk, U]; of chunked.h [kTile, slots, U]
  vec *p, *nets;         // [S, U, kept] sensitivities; [U] net inputs of a rank-one p
  vec *q, *signs;        // [n] each: the other factor of a rank-one p, and random signs
  vec *trace;            // [S, 3, C]: input gates, forget gates, cells
  vec *start;            // [U] net inputs from symbols and biases
  vec* errors;           // [kTile, n] of chunked.h
  vec *p_after, *kept_w; // [n, S, U] the next p; [slots, n_fed, U]: both of chunked.h
  ivec *symbols;         // [slots] of chunked.h
  std::size_t bytes;

  static constexpr int kTile = 4;  // rows of sensitivities at once
  static constexpr Index kLong = 2 * kChunk;  // steps of a chunk of sensitivities

  PathPlan(const Job& job, const Plan& plan, void* workspace) {
    const Shape& s = job.shape;
    const bool back = job.rule == Rule::bptt || (job.rule == Rule::truncated && !s.memory());
    way = !job.learn                ? Way::predict
          : back                    ? Way::back
          : job.rule == Rule::rtrl  ? Way::forward
          : job.rule == Rule::snap  ? Way::restricted
          : job.rule == Rule::uoro  ? Way::rank_one
                                    : Way::traces;
    const Index longest = job.longest > 0 ? job.longest : 1;
    depth = job.rule == Rule::truncated ? 1 : job.depth == 0 ? longest : job.depth;
    depth = depth < longest ? depth : longest;
    stride = job.rule == Rule::bptt && job.depth > 0 ? job.stride : job.rule == Rule::bptt ? 0 : 1;
    const Index sliding = 2 * round_up(depth, kChunk) + 2 * kChunk;
    const Index whole = round_up(longest, kChunk);
    n = plan.U + (s.memory() ? plan.C : 0);
    chunked = way == Way::forward && n > 1;
    paths = job.paths, keeps_weights = chunked && (!plan.accumulate || paths);
    slots = chunked            ? (whole < kLong ? whole : kLong)
            : way != Way::back ? kChunk
            : sliding < whole  ? sliding
                               : whole;
    inputs = plan.gathered ? plan.I : 0;
    S = inputs + plan.n_sources + 1;
    Carver carver(workspace);
    const Index taped = way == Way::back ? slots : 0;
    sources = carver.take<vec>(slots + 1, plan.n_sources);
    factors = carver.take<vec>(slots, Factors::count(plan));
    met = carver.take<vec>(taped, plan.C);
    error_y = carver.take<vec>(plan.U), error_s = carver.take<vec>(plan.C);
    error_net = carver.take<vec>(plan.U);
    spread = carver.take<vec>(chunked ? kTile : 1, chunked ? slots : kChunk, plan.U);
    errors = carver.take<vec>(chunked ? kTile : 0, n);
    kept = way == Way::forward ? n : way == Way::rank_one ? 1 : way != Way::restricted ? 0
           : s.memory() ? 1 + 2 * s.block_size : 1;
    p = carver.take<vec>(S, plan.U, kept);
    q = carver.take<vec>(way == Way::rank_one ? n : 0), signs = carver.take<vec>(n);
    nets = carver.take<vec>(plan.U);
    trace = carver.take<vec>(way == Way::traces ? S : 0, 3, plan.C);
    start = carver.take<vec>(plan.U);
    p_after = carver.take<vec>(chunked ? S : 0, plan.U, n);
    kept_w = carver.take<vec>(keeps_weights ? slots : 0, plan.n_fed, plan.U);
    symbols = carver.take<ivec>(chunked ? slots : 0);
    bytes = carver.used();
  }

  // Weights of source m into all units, or their gradients.
  vec* weights(const Plan& plan, Index m) const {
    return pick(m, plan.symbol_w, plan.hidden_w, plan.hidden_b, plan.U);
  }
  vec* gradients(const Plan& plan, Index m) const {
    return pick(m, plan.symbol_g, plan.hidden_g, plan.hidden_gb, plan.U);
  }
  // Factors of the learning rate of these weights, or null if all are 1.
  const vec* rate_factors(const Plan& plan, Index m) const {
    const vec* first = m < inputs ? plan.symbol_f : is_bias(m) ? plan.hidden_fb : plan.hidden_f;
    if (!first || is_bias(m)) return first;
    return first + (m < inputs ? m : m - inputs) * plan.U;
  }
  bool is_bias(Index m) const { return m == S - 1; }

 private:
  vec* pick(Index m, vec* symbols, vec* dense, vec* bias, Index units) const {
    return m < inputs ? symbols + m * units : is_bias(m) ? bias : dense + (m - inputs) * units;
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
