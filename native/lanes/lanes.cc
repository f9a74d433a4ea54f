// Many small networks at once, one per lane of a vector, each with its own weights, data, learning
// rate and sequence boundaries.
//
// Time is divided into chunks of at most kChunk steps. Weights are constant during a chunk, so
// traces and gradients are loaded and stored once per chunk. The arithmetic of a lane does not
// depend on other lanes: neither the order of a sum nor its rounding.
#include "common/carrousel.h"
#include "lanes/errors.h"
#include "lanes/turns.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

class Truncated : Turns {
 public:
  Truncated(const Job& job, const Lane* lanes, int n_lanes, void* workspace)
      : Turns(job, lanes, n_lanes, workspace), forward_(job) {
    with_sizes(job.shape, [&]<class S>() { learn_step_ = learn_step<S>; });
  }

  void run() {
    for (begin(all_lanes()); any(busy_);) {
      turn();
      close();
      if (!any(last_chunk_)) continue;
      if (p_.learn) finish_sequences(last_chunk_);
      begin(last_chunk_);
    }
    check_inputs();
    if (!p_.learn) return;
    if (job_.update == Update::epoch && !job_.gradient) apply_all();
    unpack();
  }

 private:
  void begin(ivec lanes) {
    each_lane(begin_sequences(lanes), [&](int lane) { late_[lane] = all_late(lane) ? -1 : 0; });
  }

  // Whether all targets of the lane's sequence are in its last chunk.
  bool all_late(int lane) const {
    const Lane& l = lanes_[lane];
    return job_.update == Update::sequence && next_[lane] < last_[lane] &&
           l.target_steps[next_[lane]] >= l.offsets[sequence_[lane] + 1] - kChunk;
  }

  void turn() {
    open(p_.learn && !p_.accumulate && p_.rows);
    if (steps_ == 0) return;
    if (any(first_chunk_)) {
      forward_.reset(p_, first_chunk_);
      traced_ &= ~first_chunk_;
    }
    if (p_.rows)
      stage_symbols();
    else
      stage_dense(steps_, ragged_until_ == 0);
    if (!p_.learn)
      predict_chunk();
    else if (p_.accumulate)
      learn_by_chunk();
    else if (p_.rows)
      learn_rows_by_step();
    else
      learn_by_step();
    Layer::carry(p_, steps_);
  }

  void stage_symbols() {
    for (int lane = 0; lane < V; ++lane) {
      for (Index k = 0; k < steps_; ++k)
        rows_.symbol[k][lane] =
            k >= wait_[lane] ? lanes_[lane].symbols[position(lane, k)] : kNoSymbol;
    }
    rows_.load(p_, steps_);
  }

  void step(Index k) {
    if (k >= ragged_until_) return forward_.steady(forward_, p_, k, ivec{});
    forward_.ragged(forward_, p_, k, live_at(k));
  }

  void predict_chunk() {
    Index target = next_target();
    for (Index k = 0; k < steps_; ++k) {
      step(k);
      if (k != target) continue;
      meet_targets(k);
      predict_event();
      target = next_target();
    }
  }

  // Computes errors of the event's step.
  void compute_errors() {
    learned_ |= event_.lanes;
    output_errors();
    inner_errors(p_, forward_.h, event_.k, event_.lanes);
  }

  // Update by step: weights change at every target, and the steps before it are added to traces.
  void learn_by_step() {
    Index traced = 0;  // steps of the window that the traces include
    for (Index k = 0; k < steps_; ++k) {
      step(k);
      if (k != next_target()) continue;
      add_traces(traced, k);
      traced = k + 1;
      meet_targets(k);
      compute_errors();
      change_outputs();
      learn_step_(p_, k, rate_, traced_, event_.lanes);
      traced_ |= running_;
    }
    add_traces(traced, steps_);
  }

  // The same with rows of symbols: a lane's chunk ends at its target, since rows change there.
  void learn_rows_by_step() {
    for (Index k = 0; k < steps_; ++k) step(k);
    add_traces(0, steps_ - 1);
    rows_.gather(p_, steps_);
    remember(running_);
    const bool met = next_target() < steps_;
    if (!met) return add_traces(steps_ - 1, steps_);
    meet_targets(steps_ - 1);
    compute_errors();
    change_outputs();
    learn_step_(p_, event_.k, rate_, traced_, event_.lanes);
    traced_ |= running_;
    each_lane(event_.lanes,
              [&](int lane) { rows_.learn_step(p_, lane, event_.k, lanes_[lane].rate); });
  }

  // Update by sequence or epoch: the errors of a chunk are collected, then added to gradients.
  void learn_by_chunk() {
    Index target = next_target();
    const bool wanted = target < steps_;
    Index filled = 0;  // steps whose errors are written
    ivec met{};        // lanes with errors in this chunk
    for (Index k = 0; k < steps_; ++k) {
      step(k);
      if (k != target) continue;
      clear_errors(filled, k);
      meet_targets(k);
      compute_errors();
      met |= event_.lanes;
      filled = k + 1;
      target = next_target();
    }
    if (p_.rows) remember(running_ & ~late_);
    if (wanted) {
      change_outputs();
      clear_errors(filled, steps_);
      learn_chunk(p_, steps_, traced_, met);
      if (p_.rows) learn_rows(met);
    }
    if (!any(running_ & ~last_chunk_)) return;  // traces are not needed any more
    add_traces(0, steps_);
    if (!p_.rows) return;
    rows_.drop(last_chunk_, steps_);
    rows_.gather(p_, steps_);
  }

  // Adds steps of the window to the traces.
  void add_traces(Index from, Index to) {
    if (from == to) return;
    add_products(p_, traces(p_, from, traced_), to - from);
    traced_ |= running_;
  }

  void remember(ivec lanes) {
    each_lane(lanes,
              [&](int lane) { rows_.remember(p_, lane, steps_, sequence_[lane] + 1); });
  }

  void clear_errors(Index from, Index to) {
    clear(p_.error_cell + from * p_.C, (to - from) * p_.C);
    clear(p_.error_gate + from * p_.blocks, (to - from) * p_.blocks);
  }

  void learn_rows(ivec met) {
    for (int lane = 0; lane < n_lanes_; ++lane) {
      if (!met[lane]) continue;
      rows_.spread(p_, lane, steps_);
      const Index* offset = lanes_[lane].offsets + sequence_[lane];
      if (late_[lane])
        Rows::reach_and_apply(p_, lane, lanes_[lane].symbols + offset[0], offset[1] - offset[0],
                              lanes_[lane].rate);
      else
        Rows::reach(p_, lane);
    }
  }

  // After the last step of the sequences of these lanes.
  void finish_sequences(ivec ended) {
    const bool by_sequence = job_.update == Update::sequence;
    const ivec now = by_sequence ? ended & learned_ : ivec{};
    if (any(now)) apply_columns(now);
    if (p_.rows)
      each_lane(ended, [&](int lane) {
        Rows::finish(p_, lane, lanes_[lane].rate, now[lane] != 0);
      });
    write_errors(ended);
  }

  void apply_columns(ivec lanes) {
    apply_hidden(p_, rate_, lanes);
    if (!p_.output_rows) ColumnOutputs::apply(p_, rate_, lanes);
    for (int lane = 0; p_.output_rows && lane < n_lanes_; ++lane)
      if (lanes[lane]) RowOutputs::apply(p_, lane, lanes_[lane].rate);
    learned_ &= ~lanes;
  }

  void apply_all() {
    const ivec lanes = learned_;
    apply_columns(lanes);
    for (int lane = 0; p_.rows && lane < n_lanes_; ++lane)
      for (Index symbol = 0; lanes[lane] && symbol < p_.I; ++symbol)
        Rows::apply(p_, lane, symbol, lanes_[lane].rate);
  }

  Forward forward_;
  LearnStep learn_step_;
  Rows rows_;
  ivec learned_{};  // lanes that had a target since weights last changed
  ivec traced_{};   // lanes with traces of earlier chunks; those of other lanes count as zero
  ivec late_{};     // lanes whose targets in this sequence are all in its last chunk
};

std::size_t workspace_bytes(const Job& job) { return Plan(job, nullptr).bytes; }

void run(const Job& job, const Lane* lanes, int n_lanes, void* workspace) {
  Truncated(job, lanes, n_lanes, workspace).run();
}

}  // namespace

extern const Part lanes;
const Part lanes = {workspace_bytes, run};

}  // namespace carrousel::CARROUSEL_ISA
