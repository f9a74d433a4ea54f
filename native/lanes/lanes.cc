// Many small networks at once, one per lane of a vector, each with its own weights, data, learning
// rate and sequence boundaries.
//
// Time is divided into chunks of at most kChunk steps. Weights are constant during a chunk, so
// traces and gradients are loaded and stored once per chunk. The arithmetic of a lane does not
// depend on other lanes: neither the order of a sum nor its rounding.
#include "common/carrousel.h"
#include "lanes/errors.h"
#include "lanes/rounds.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

class Group : Rounds {
 public:
  Group(const Job& job, const Lane* lanes, int n_lanes, void* workspace)
      : Rounds(job, lanes, n_lanes, workspace), forward_(job) {}

  void run() {
    for (Index n = 0, rounds = most_sequences(); n < rounds; ++n) round(n);
    if (!p_.learn) return;
    if (job_.update == Update::epoch && !job_.gradient) apply_all();
    unpack();
  }

 private:
  void begin(Index n) {
    begin_round(n);
    pending_ = false;
    late_ = job_.update == Update::sequence && next_target() >= length_ - kChunk;
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (active(lane) && next_[lane] == last_[lane]) late_ = false;
    forward_.reset(p_);
    if (p_.learn) clear_traces(p_);
  }

  void stage_inputs(Index t, Index steps) {
    if (p_.rows)
      stage_symbols(t, steps);
    else
      stage_dense(t, steps);
  }

  void stage_symbols(Index t, Index steps) {
    for (int lane = 0; lane < V; ++lane) {
      const Index from = lane < n_lanes_ ? wait(lane, t, steps) : steps;
      const Index at = position(lane, t);
      for (Index k = 0; k < from; ++k) rows_.symbol[k][lane] = kNoSymbol;
      for (Index k = from; k < steps; ++k) rows_.symbol[k][lane] = source_[lane]->symbols[at + k];
    }
    rows_.load(p_, steps);
  }

  template <bool Learn>
  void step(Index t, Index k) {
    if (t >= ragged_until_) return forward_.step<Learn, false>(p_, k, ivec{});
    forward_.step<Learn, true>(p_, k, live_at(t + k));
  }

  void predict_chunk(Index t, Index steps, Index target) {
    for (Index k = 0; k < steps; ++k) {
      step<false>(t, k);
      if (t + k != target) continue;
      meet_targets(t, k);
      predict_event();
      target = next_target();
    }
  }

  // Computes errors of the event's step, and changes output weights or their gradients.
  void learn_outputs() {
    learned_ |= event_.mask();
    output_errors();
    inner_errors(p_, forward_.h, event_.k, event_.mask());
    change_outputs();
  }

  // Update by step: a chunk ends at a step with a target, since weights change there.
  void learn_by_step(Index t, Index steps, Index target) {
    for (Index k = 0; k < steps; ++k) step<true>(t, k);
    add_products(p_, traces(p_), steps);
    if (p_.rows) rows_.gather(p_, steps), rows_.remember(p_, steps, round_ + 1);
    if (target >= t + steps) return;
    meet_targets(t, steps - 1);
    learn_outputs();
    learn_step(p_, event_.k, rate_, event_.mask());
    for (int lane = 0; p_.rows && lane < n_lanes_; ++lane)
      if (event_.wanted(lane)) rows_.learn_step(p_, lane, event_.k, lanes_[lane].rate);
  }

  // Update by sequence or epoch: the errors of a chunk are collected, then added to gradients.
  void learn_by_chunk(Index t, Index steps, Index target) {
    const bool wanted = target < t + steps, last = t + steps == length_;
    Index filled = 0;  // steps whose errors are written
    ivec met{};        // lanes with errors in this chunk
    for (Index k = 0; k < steps; ++k) {
      step<true>(t, k);
      if (t + k != target) continue;
      clear_errors(filled, k);
      meet_targets(t, k);
      learn_outputs();
      met |= event_.mask();
      filled = k + 1;
      target = next_target();
    }
    if (p_.rows && !late_) rows_.remember(p_, steps, round_ + 1);
    if (wanted) {
      clear_errors(filled, steps);
      learn_chunk(p_, steps, met);
      if (p_.rows) learn_rows(steps, met);
      pending_ = true;
    }
    if (last) return;  // traces are not needed any more
    add_products(p_, traces(p_), steps);
    if (p_.rows) rows_.gather(p_, steps);
  }

  void clear_errors(Index from, Index to) {
    clear(p_.error_cell + from * p_.C, (to - from) * p_.C);
    clear(p_.error_gate + from * p_.blocks, (to - from) * p_.blocks);
  }

  void learn_rows(Index steps, ivec met) {
    for (int lane = 0; lane < n_lanes_; ++lane) {
      if (!met[lane]) continue;
      rows_.spread(p_, lane, steps);
      if (late_)
        Rows::reach_and_apply(p_, lane, lanes_[lane].symbols + first_[lane],
                              length_ - start_[lane], lanes_[lane].rate);
      else
        Rows::reach(p_, lane);
    }
  }

  void end_round() {
    const bool apply = job_.update == Update::sequence && pending_;
    if (apply) apply_columns();
    for (int lane = 0; lane < n_lanes_; ++lane) {
      if (p_.rows) Rows::finish(p_, lane, lanes_[lane].rate, apply);
    }
    write_errors();
  }

  void apply_columns() {
    apply_hidden(p_, rate_, learned_);
    if (!p_.output_rows) ColumnOutputs::apply(p_, rate_, learned_);
    for (int lane = 0; p_.output_rows && lane < n_lanes_; ++lane)
      RowOutputs::apply(p_, lane, lanes_[lane].rate);
    learned_ = isplat(0);
  }

  void apply_all() {
    apply_columns();
    for (int lane = 0; p_.rows && lane < n_lanes_; ++lane)
      for (Index symbol = 0; symbol < p_.I; ++symbol)
        Rows::apply(p_, lane, symbol, lanes_[lane].rate);
  }

  void round(Index n) {
    begin(n);
    for (Index t = 0; t < length_;) {
      const Index target = next_target(), steps = chunk_steps(t, target);
      stage_inputs(t, steps);
      if (!p_.learn) {
        predict_chunk(t, steps, target);
      } else if (p_.accumulate) {
        learn_by_chunk(t, steps, target);
      } else {
        learn_by_step(t, steps, target);
      }
      Layer::carry(p_, steps);
      t += steps;
    }
    if (p_.learn) end_round();
  }

  // Chunks are counted from the end of the round, where the sequences of all lanes end, so their
  // limits do not depend on other lanes. Update by step also ends them at targets.
  Index chunk_steps(Index t, Index target) const {
    const Index left = length_ - t, most = left % kChunk ? left % kChunk : kChunk;
    const bool cut = p_.learn && !p_.accumulate && target - t < most;
    return cut ? target - t + 1 : most;
  }

  Forward forward_;
  Rows rows_;
  ivec learned_{};        // lanes that had a target since weights last changed
  bool pending_ = false;  // gradients were added in this round
  bool late_ = false;     // all targets of this round are in its last chunk
};

std::size_t workspace_bytes(const Job& job) { return Plan(job, nullptr).bytes; }

void run(const Job& job, const Lane* lanes, int n_lanes, void* workspace) {
  Group(job, lanes, n_lanes, workspace).run();
}

}  // namespace

extern const Part lanes;
const Part lanes = {workspace_bytes, run};

}  // namespace carrousel::CARROUSEL_ISA
