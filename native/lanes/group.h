// A group of lanes: their weights in the workspace, a window of their data, targets and errors.
//
// A window is a chunk of at most kChunk steps. Every lane has its own place in its data. The steps
// of all lanes end together; a lane with fewer steps becomes live later in the window.
#pragma once

#include "lanes/row_outputs.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

class LaneGroup {
 protected:
  LaneGroup(const Job& job, const Lane* lanes, int n_lanes, void* workspace)
      : job_(job), lanes_(lanes), n_lanes_(n_lanes), p_(job, workspace),
        output_error_(job) {
    char* bytes = static_cast<char*>(workspace);
    for (std::size_t i = 0; i < p_.bytes; ++i) bytes[i] = 0;
    prepare(p_, job.factors);
    rate_ = splat(0.0f);
    for (int lane = 0; lane < n_lanes; ++lane) {
      rate_[lane] = lanes[lane].rate;
      each_weight(p_, weights_of(p_), lane, lanes[lane].weights,
                  [](const float* flat, float* place) { *place = *flat; });
    }
    forget_errors(isplat(-1));
  }

  // Refuses inputs that are not finite. They are checked where they are used: a separate pass over
  // the data would take a tenth of the time of learning.
  void check_inputs() const {
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (odd_[lane] != 0.0f) refuse_inputs(lanes_[lane].number);
  }

  // Writes the lanes' weights, or where only gradients are wanted, these.
  void unpack() const {
    const Places from = job_.gradient ? gradients_of(p_) : weights_of(p_);
    for (int lane = 0; lane < n_lanes_; ++lane) {
      float* to = job_.gradient ? lanes_[lane].gradient : lanes_[lane].weights;
      each_weight(p_, from, lane, to, [](float* flat, const float* place) { *flat = *place; });
    }
  }

  // Elements of a vector that are lanes.
  ivec all_lanes() const {
    ivec lanes{};
    for (int lane = 0; lane < n_lanes_; ++lane) lanes[lane] = -1;
    return lanes;
  }

  // Sets the sequence that a lane processes.
  void enter(int lane, Index sequence) {
    sequence_[lane] = sequence;
    cells_on_[lane] = sequence >= lanes_[lane].cells_from ? -1 : 0;
    next_[lane] = lanes_[lane].target_offsets[sequence];
    last_[lane] = lanes_[lane].target_offsets[sequence + 1];
  }

  // Whether the lane takes part in the window.
  ivec present() const { return wait_ < isplat(kChunk); }

  // The step of the lane's data at slot k. Not valid before the lane is live.
  Index position(int lane, Index k) const { return at_[lane] + k; }

  ivec live_at(Index k) const { return wait_ <= isplat(static_cast<std::int32_t>(k)); }

  // The slot of the lane's next target, or kNever.
  std::int32_t find_target(int lane) const {
    if (next_[lane] == last_[lane]) return kNever;
    return static_cast<std::int32_t>(lanes_[lane].target_steps[next_[lane]] - at_[lane]);
  }

  // The first slot at which any lane has a target. It may be after the window.
  Index next_target() const { return least(target_at_); }

  void stage_dense(Index steps, bool full) {
    if (p_.shape.symbols)
      stage_one_hot(steps);
    else if (full && steps == kChunk)
      stage_values();
    else
      stage_ragged(steps);
  }

  void clear_inputs(Index steps) {
    for (Index k = 0; k < steps; ++k)
      for (Index i = 0; i < p_.I; ++i) p_.sources[k * p_.n_sources + i] = splat(0.0f);
  }

  void stage_one_hot(Index steps) {
    clear_inputs(steps);
    each_lane(present(), [&](int lane) {
      float* source = reinterpret_cast<float*>(p_.sources) + lane;
      const std::int32_t* symbols = lanes_[lane].symbols + at_[lane];
      for (Index k = wait_[lane]; k < steps; ++k)
        source[(k * p_.n_sources + symbols[k]) * V] = 1.0f;
    });
  }

  // Loads a whole chunk of values, four floats of every lane at a time. All lanes are live or idle.
  void stage_values() {
    const float* from[V];
    Index by[V];
    for (int lane = 0; lane < V; ++lane) {
      const bool idle = wait_[lane] > 0;
      from[lane] = idle ? kZeros : lanes_[lane].values + at_[lane] * p_.I;
      by[lane] = idle ? 0 : 4;
    }
    vec odd = odd_;
    Index k = 0, i = 0;  // kChunk I is a multiple of four
    for (Index n = 0; n < kChunk * p_.I; n += 4) {
      vec column[4];
      columns_from(from, column);
      for (int j = 0; j < 4; ++j) {
        p_.sources[k * p_.n_sources + i] = column[j];
        odd = fma(column[j], splat(0.0f), odd);
        if (++i == p_.I) i = 0, ++k;
      }
      for (int lane = 0; lane < V; ++lane) from[lane] += by[lane];
    }
    odd_ = odd;
  }

  void stage_ragged(Index steps) {
    clear_inputs(steps);
    each_lane(present(), [&](int lane) {
      float* source = reinterpret_cast<float*>(p_.sources) + lane;
      for (Index k = wait_[lane]; k < steps; ++k) {
        const float* x = lanes_[lane].values + position(lane, k) * p_.I;
        for (Index i = 0; i < p_.I; ++i) {
          source[(k * p_.n_sources + i) * V] = x[i];
          odd_[lane] += x[i] * 0.0f;
        }
      }
    });
  }

  // Selects the targets at slot k of the window.
  void meet_targets(Index k) {
    event_.k = k, event_.lanes = target_at_ == isplat(static_cast<std::int32_t>(k));
    each_lane(event_.lanes, [&](int lane) {
      event_.target[lane] = next_[lane]++;
      target_at_[lane] = find_target(lane);
    });
    for (Index c = 0; c < p_.C; ++c)
      p_.cell_out[c] = cells_on_ ? p_.cell_out[c] : splat(0.0f);
  }

  std::int32_t symbol_now(int lane) const {
    return lanes_[lane].symbols[position(lane, event_.k)];
  }

  void predict_event() {
    if (p_.shape.united) UnitedOutputs::forward(p_);
    else if (!p_.output_rows) ColumnOutputs::forward(p_, event_.k);
    for (int lane = 0; lane < n_lanes_; ++lane) {
      if (!event_.wanted(lane)) continue;
      float* out = lanes_[lane].outputs + event_.target[lane] * p_.O;
      if (p_.output_rows)
        RowOutputs::predict(p_, lane, symbol_now(lane), out);
      else
        for (Index o = 0; o < p_.O; ++o) out[o] = p_.output_y[o][lane];
    }
  }

  // Errors of outputs at the event's step, and of the cells that outputs read (p_.back).
  void output_errors() {
    event_.number = events_.count, events_.add(event_);
    if (p_.shape.united) {
      UnitedOutputs::forward(p_);
      ColumnOutputs::errors(p_, lanes_, event_, output_error_);
      UnitedOutputs::send_back(p_, event_);
    } else if (!p_.output_rows) {
      ColumnOutputs::forward(p_, event_.k);
      ColumnOutputs::errors(p_, lanes_, event_, output_error_);
      ColumnOutputs::send_back(p_, event_);
    } else {
      for (Index c = 0; c < p_.C; ++c) p_.back[c] = splat(0.0f);
      for (int lane = 0; lane < n_lanes_; ++lane)
        if (event_.wanted(lane)) {
          RowOutputs::errors(p_, lane, symbol_now(lane), lanes_[lane], event_, output_error_);
          RowOutputs::send_back(p_, lane);
          RowOutputs::learn(p_, lane, symbol_now(lane), p_.accumulate ? 1.0f : lanes_[lane].rate);
        }
    }
    for (Index c = 0; c < p_.C; ++c) p_.back[c] = cells_on_ ? p_.back[c] : splat(0.0f);
  }

  // Changes output weights, or adds to their gradients, by the errors of the window's events so far.
  void change_outputs() {
    if (!p_.output_rows && !p_.shape.united)
      ColumnOutputs::learn(p_, events_, p_.accumulate ? splat(1.0f) : rate_);
    events_.count = 0;
  }

  // Writes the errors of the sequences that `lanes` have processed, and forgets them.
  void write_errors(ivec lanes) {
    each_lane(lanes, [&](int lane) {
      lanes_[lane].max_abs[sequence_[lane]] = event_.max_abs[lane];
      lanes_[lane].sum_abs[sequence_[lane]] = event_.sum_abs[lane];
      lanes_[lane].sum_sq[sequence_[lane]] = event_.sum_sq[lane];
    });
    forget_errors(lanes);
  }

  const Job& job_;
  const Lane* lanes_;
  int n_lanes_;
  Plan p_;
  OutputError output_error_;
  vec rate_;
  Event event_;
  Events events_;
  ivec cells_on_{};
  // The window: slots before the lane is live (kChunk: it takes no part), the step of its data at
  // slot 0, if it were live there, and the slot of its next target (kNever: there is none).
  static constexpr std::int32_t kNever = 1 << 30;
  ivec wait_ = isplat(kChunk), target_at_ = isplat(kNever);
  Index at_[V] = {};
  Index sequence_[V];
  Index next_[V], last_[V];  // the lane's next target, and the end of its sequence's targets

 private:
  void forget_errors(ivec lanes) {
    for (vec* sum : {&event_.max_abs, &event_.sum_abs, &event_.sum_sq})
      *sum = lanes ? splat(0.0f) : *sum;
  }

  alignas(64) static constexpr float kZeros[4] = {};
  vec odd_{};  // NaN if an input was not finite, else 0
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
