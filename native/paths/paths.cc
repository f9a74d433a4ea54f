// Lanes with any hidden layer and any gradient. (lanes.cc is faster, but runs the truncated
// gradient of 1997 only.) Back-propagation through time stores a tape. The other gradients are
// computed forward in time and need none.
//
// As in lanes.cc, the arithmetic of a lane does not depend on other lanes.
#include "common/carrousel.h"
#include "common/flush.h"
#include "paths/back.h"
#include "paths/cheap.h"
#include "paths/chunked.h"
#include "paths/sensitivities.h"
#include "paths/traces.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr std::int32_t kNone = -1;

class Paths : Rounds {
 public:
  Paths(const Job& job, const Lane* lanes, int n_lanes, void* workspace)
      : Rounds(job, lanes, n_lanes, workspace),
        x_(job, p_, static_cast<char*>(workspace) + p_.bytes),
        forward_(job) {
    char* bytes = static_cast<char*>(workspace) + p_.bytes;
    for (std::size_t i = 0; i < x_.bytes; ++i) bytes[i] = 0;
  }

  void run() {
    for (Index n = 0, rounds = most_sequences(); n < rounds; ++n) round(n);
    check_inputs();
    if (!p_.learn) return;
    if (job_.update == Update::epoch && !job_.gradient) apply_all();
    unpack();
  }

 private:
  void begin(Index n) {
    begin_round(n);
    tape_start_ = 0, carried_ = false, met_ = isplat(0);
    for (int lane = 0; lane < V; ++lane) since_[lane] = 0, drawn_[lane] = 0;
    p_.sources = x_.sources;
    forward_.reset(p_, isplat(-1));
    if (!x_.chunked) clear(x_.p, x_.S * p_.U * x_.kept);
    if (x_.way == Way::rank_one) clear(x_.q, x_.n);
    if (x_.way == Way::traces) clear(x_.trace, x_.S * 3 * p_.C);
  }

  void round(Index n) {
    begin(n);
    for (Index t = 0; t < length_;) {
      const Index left = length_ - t, steps = left % kChunk ? left % kChunk : kChunk;
      make_room(t, steps);
      open(t, steps);
      if (!p_.gathered) stage_dense(steps, full_);
      for (Index k = 0; k < steps; ++k) step(t, k);
      if (!taped()) Layer::carry(p_, steps);
      t += steps;
    }
    if (!p_.learn) return;
    if (job_.update == Update::sequence) apply_all();
    write_errors(active_);
  }

  Index slot(Index time) const { return time - tape_start_; }

  // Whether Plan::sources moves over a tape.
  bool taped() const { return x_.way == Way::back || x_.chunked; }

  // Starts a chunk of sensitivities, if one begins at step t.
  void begin_chunk(Index t) {
    if (t > 0 && (length_ - t) % PathPlan::kLong == 0) {
      Chunked::advance(p_, x_, slot(t), carried_);
      for (Index i = 0; i < p_.n_sources; ++i)
        x_.sources[i] = x_.sources[slot(t) * p_.n_sources + i];
      tape_start_ = t, carried_ = true;
    }
    p_.sources = x_.sources + slot(t) * p_.n_sources;
  }

  // Points Plan::sources to the chunk's slots on the tape. If the tape is full, first moves the
  // steps that are still needed to its start.
  void make_room(Index t, Index steps) {
    if (x_.chunked) return begin_chunk(t);
    if (x_.way != Way::back) return;
    if (slot(t) + steps > x_.slots) {
      const Index first = slot(t) - x_.depth;  // the oldest step that may still be needed
      const Index keep = x_.depth, count = Factors::count(p_);
      for (Index i = 0; i < (keep + 1) * p_.n_sources; ++i)
        x_.sources[i] = x_.sources[first * p_.n_sources + i];
      for (Index i = 0; i < keep * count; ++i) x_.factors[i] = x_.factors[first * count + i];
      for (Index i = 0; i < keep * p_.C; ++i) x_.met[i] = x_.met[first * p_.C + i];
      tape_start_ += first;
    }
    p_.sources = x_.sources + slot(t) * p_.n_sources;
    clear(x_.met + slot(t) * p_.C, steps * p_.C);
  }

  Factors factors_at(Index time, Index k) const {
    return Factors(p_, x_.factors + (taped() ? slot(time) : k) * Factors::count(p_));
  }

  void step(Index t, Index k) {
    const Index time = t + k;
    const ivec live = live_at(k);
    const vec* start = p_.hidden_b;
    if (p_.gathered) start = gather(k, live);
    const Factors f = factors_at(time, k);
    forward_.step(p_, k, start, f, live);
    if (x_.chunked) Chunked::keep(p_, x_, slot(time), symbol_);
    else if (x_.way == Way::forward) Sensitivities::advance(p_, x_, k, f, symbol_);
    if (x_.way == Way::traces) Traces::advance(p_, x_, k, f, symbol_);
    if (x_.way == Way::restricted) Restricted::advance(p_, x_, k, f, symbol_);
    if (x_.way == Way::rank_one) {
      draw_signs(live);
      RankOne::advance(p_, x_, k, f, symbol_, live);
    }
    if (k == next_target()) meet(t, k, f);
    if (x_.way == Way::back) due(time);
  }

  const vec* gather(Index k, ivec live) {
    for (Index u = 0; u < p_.U; ++u) x_.start[u] = p_.hidden_b[u];
    for (int lane = 0; lane < V; ++lane) {
      symbol_[lane] = live[lane] ? lanes_[lane].symbols[position(lane, k)] : kNone;
      if (symbol_[lane] == kNone) continue;
      const vec* weights = p_.symbol_w + static_cast<Index>(symbol_[lane]) * p_.U;
      for (Index u = 0; u < p_.U; ++u) x_.start[u][lane] += weights[u][lane];
    }
    return x_.start;
  }

  void draw_signs(ivec live) {
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (live[lane]) RankOne::draw(x_, lane, lanes_[lane].seeds[round_], drawn_[lane]++);
  }

  void meet(Index t, Index k, const Factors& f) {
    meet_targets(k);
    if (!p_.learn) return predict_event();
    learned_ |= event_.lanes;
    output_errors();
    const vec scale = p_.accumulate ? splat(1.0f) : rate_;
    if (x_.way == Way::back) {
      for (Index c = 0; c < p_.C; ++c)
        x_.met[slot(t + k) * p_.C + c] = event_.lanes ? p_.back[c] : splat(0.0f);
      met_ |= event_.lanes;
    }
    if (x_.chunked)
      Chunked::learn(p_, x_, slot(t + k) + 1, scale, event_.lanes, carried_);
    else if (x_.way == Way::forward)
      Sensitivities::learn(p_, x_, scale, event_.lanes);
    if (x_.way == Way::restricted) Restricted::learn(p_, x_, scale, event_.lanes);
    if (x_.way == Way::rank_one) RankOne::learn(p_, x_, scale, event_.lanes);
    if (x_.way == Way::traces) Traces::learn(p_, x_, k, f, scale, event_.lanes, symbol_);
    change_outputs();
  }

  // Runs the backward pass of the lanes whose turn it is at this step.
  void due(Index time) {
    const bool last = time == length_ - 1;
    if (x_.stride == 0 && !last) return;
    const Index oldest = time - x_.depth + 1 > 0 ? time - x_.depth + 1 : 0;
    ivec lanes{};
    bool any = false;
    for (int lane = 0; lane < n_lanes_; ++lane) {
      if (!active(lane) || time < start_[lane]) continue;
      if (!last && ++since_[lane] != x_.stride) continue;
      lanes[lane] = -1, since_[lane] = 0;
      any |= met_[lane] != 0;
    }
    if (any) go_back(time, oldest, lanes & met_);
    met_ &= ~lanes;
    if (job_.update == Update::step) apply_due(time, lanes);
  }

  // Propagates the errors of `lanes` back from step `time` to step `oldest`.
  void go_back(Index time, Index oldest, ivec lanes) {
    clear(x_.error_y, p_.U), clear(x_.error_s, p_.C);
    const Index reads = p_.shape.first_cell();
    for (Index end = time + 1; end > oldest;) {
      const Index steps = end - oldest < kChunk ? end - oldest : kChunk, from = end - steps;
      for (Index at = end - 1; at >= from; --at) {
        vec* const met = x_.met + slot(at) * p_.C;
        for (Index c = 0; c < p_.C; ++c) {
          add_where(lanes, x_.error_y[reads + c], met[c]);
          met[c] = lanes ? splat(0.0f) : met[c];
        }
        vec* const net = x_.spread + (at - from) * p_.U;
        GoingBack::through_step(p_, factors_at(at, 0), GoingBack::recurrent(p_), x_.error_y,
                                x_.error_s, net);
      }
      GoingBack::add_steps(p_, x_, slot(from), steps, lanes);
      if (p_.gathered) add_symbols(from, steps, lanes);
      end = from;
    }
  }

  void add_symbols(Index from, Index steps, ivec lanes) {
    for (int lane = 0; lane < n_lanes_; ++lane)
      for (Index i = 0; i < steps; ++i) {
        if (!lanes[lane] || from + i < start_[lane]) continue;
        const Index symbol = lanes_[lane].symbols[step_at(lane, from + i)];
        vec* const gradient = p_.symbol_g + symbol * p_.U;
        for (Index u = 0; u < p_.U; ++u) gradient[u][lane] += x_.spread[i * p_.U + u][lane];
      }
  }

  // Changes the weights of lanes after their backward pass by all gradients they have.
  void apply_due(Index time, ivec lanes) {
    const ivec now = lanes & learned_;
    bool any = false;
    for (int lane = 0; lane < n_lanes_; ++lane) any |= now[lane] != 0;
    if (!any) return;
    apply_some(p_.hidden_w, p_.hidden_g, p_.hidden_f, p_.n_sources * p_.U, now);
    for (Index u = 0; u < p_.U; ++u)
      if (p_.shape.biased(u))
        apply_some(p_.hidden_b + u, p_.hidden_gb + u, p_.hidden_fb ? p_.hidden_fb + u : nullptr, 1,
                   now);
    if (p_.accumulate && !p_.output_rows && !p_.shape.united) {
      apply_some(p_.output_w, p_.output_g, p_.output_f, p_.n_seen * p_.O, now);
      apply_some(p_.output_b, p_.output_gb, p_.output_fb, p_.O, now);
    }
    for (int lane = 0; lane < n_lanes_; ++lane) {
      if (!now[lane]) continue;
      if (p_.accumulate && p_.output_rows) RowOutputs::apply(p_, lane, lanes_[lane].rate);
      for (Index at = time; at > time - x_.depth && at >= start_[lane] && p_.gathered; --at)
        apply_symbol(lane, lanes_[lane].symbols[step_at(lane, at)]);
    }
    learned_ &= ~now;
  }

  void apply_some(vec* weight, vec* gradient, const vec* factors, Index count, ivec lanes) const {
    for (Index i = 0; i < count; ++i) {
      change(lanes, weight[i], rate_, factors, i, gradient[i]);
      gradient[i] = lanes ? splat(0.0f) : gradient[i];
    }
  }

  void apply_symbol(int lane, Index symbol) {
    vec *weight = p_.symbol_w + symbol * p_.U, *gradient = p_.symbol_g + symbol * p_.U;
    const vec* factors = x_.rate_factors(p_, symbol);
    ivec alone{};
    alone[lane] = -1;
    apply_some(weight, gradient, factors, p_.U, alone);
    if (p_.output_rows && p_.accumulate)
      RowOutputs::apply_symbol(p_, lane, symbol, lanes_[lane].rate);
  }

  // Changes all weights by their gradients, in lanes that had a target.
  void apply_all() {
    apply_hidden(p_, rate_, learned_);
    if (p_.gathered) apply(p_.symbol_w, p_.symbol_g, p_.symbol_f, p_.I * p_.U, rate_, learned_);
    if (!p_.output_rows && !p_.shape.united) ColumnOutputs::apply(p_, rate_, learned_);
    for (int lane = 0; p_.output_rows && lane < n_lanes_; ++lane) {
      if (!learned_[lane]) continue;
      RowOutputs::apply(p_, lane, lanes_[lane].rate);
      if (job_.update == Update::epoch)
        for (Index symbol = 0; symbol < p_.I; ++symbol)
          RowOutputs::apply_symbol(p_, lane, symbol, lanes_[lane].rate);
      else
        for (Index i = start_[lane]; i < length_; ++i)
          RowOutputs::apply_symbol(p_, lane, lanes_[lane].symbols[step_at(lane, i)],
                                   lanes_[lane].rate);
    }
    learned_ = isplat(0);
  }

  PathPlan x_;
  PathForward forward_;
  ivec learned_{};        // lanes that had a target since weights last changed
  Index tape_start_ = 0;  // step of the tape's first slot
  bool carried_ = false;  // sensitivities at the start of the chunk are not zero
  ivec met_{};            // lanes with errors on the tape that are not propagated yet
  std::uint64_t drawn_[V];  // steps of its sequence for which a lane has drawn signs
  Index since_[V];        // steps since the lane's last backward pass
  ivec symbol_{};         // of each lane at this step
};

std::size_t path_workspace_bytes(const Job& job) {
  const Plan plan(job, nullptr);
  return plan.bytes + PathPlan(job, plan, nullptr).bytes;
}

void run_paths(const Job& job, const Lane* lanes, int n_lanes, void* workspace) {
  const Flush subnormals;
  Paths(job, lanes, n_lanes, workspace).run();
}

}  // namespace

extern const Part paths;
const Part paths = {path_workspace_bytes, run_paths};

}  // namespace carrousel::CARROUSEL_ISA
