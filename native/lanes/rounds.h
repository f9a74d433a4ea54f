// The loop of a group of lanes over its data, for lanes.cc and paths.cc.
//
// A round processes one sequence of every lane. Sequences of unequal length end together: a lane
// with a shorter sequence becomes live later, and keeps its initial state until then.
#pragma once

#include "lanes/row_outputs.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

class Rounds {
 protected:
  Rounds(const Job& job, const Lane* lanes, int n_lanes, void* workspace)
      : job_(job), lanes_(lanes), n_lanes_(n_lanes), p_(job, workspace) {
    char* bytes = static_cast<char*>(workspace);
    for (std::size_t i = 0; i < p_.bytes; ++i) bytes[i] = 0;
    rate_ = splat(0.0f);
    for (int lane = 0; lane < n_lanes; ++lane) {
      rate_[lane] = lanes[lane].rate;
      each_weight(p_, weights_of(p_), lane, lanes[lane].weights,
                  [](const float* flat, float* place) { *place = *flat; });
    }
  }

  // Writes the lanes' weights, or where only gradients are wanted, these.
  void unpack() const {
    const Places from = job_.gradient ? gradients_of(p_) : weights_of(p_);
    for (int lane = 0; lane < n_lanes_; ++lane) {
      float* to = job_.gradient ? lanes_[lane].gradient : lanes_[lane].weights;
      each_weight(p_, from, lane, to, [](float* flat, const float* place) { *flat = *place; });
    }
  }

  Index most_sequences() const {
    Index most = 0;
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (lanes_[lane].n_sequences > most) most = lanes_[lane].n_sequences;
    return most;
  }

  bool active(int lane) const { return lane < n_lanes_ && round_ < lanes_[lane].n_sequences; }

  // The step of the lane's data at step t of the round. Not valid before the lane is live.
  Index position(int lane, Index t) const { return first_[lane] + t - start_[lane]; }

  void begin_round(Index n) {
    round_ = n, length_ = 0, ragged_until_ = 0;
    for (int lane = 0; lane < V; ++lane) {
      if (!active(lane)) continue;
      const Index* offset = lanes_[lane].offsets + n;
      if (offset[1] - offset[0] > length_) length_ = offset[1] - offset[0];
    }
    int longest = 0;
    for (int lane = 0; lane < n_lanes_; ++lane) {
      const Lane& l = lanes_[lane];
      source_[lane] = &l;
      start_[lane] = length_, first_[lane] = next_[lane] = last_[lane] = 0;
      cells_on_[lane] = n >= l.cells_from ? -1 : 0;
      if (active(lane)) {
        first_[lane] = l.offsets[n];
        start_[lane] = length_ - (l.offsets[n + 1] - l.offsets[n]);
        next_[lane] = l.target_offsets[n], last_[lane] = l.target_offsets[n + 1];
      }
      if (start_[lane] > ragged_until_) ragged_until_ = start_[lane];
      if (start_[lane] == 0) longest = lane;
    }
    // Elements of the vector without a lane read the data of the longest lane, and do not learn.
    for (int lane = n_lanes_; lane < V; ++lane) {
      source_[lane] = source_[longest], first_[lane] = first_[longest];
      start_[lane] = next_[lane] = last_[lane] = 0;
      cells_on_[lane] = 0;
    }
    event_.max_abs = event_.sum_abs = event_.sum_sq = splat(0.0f);
  }

  // Step of the round at which the next target of any lane is.
  Index next_target() const {
    Index soonest = length_;
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (next_[lane] < last_[lane]) {
        const Index at = lanes_[lane].target_steps[next_[lane]] - first_[lane] + start_[lane];
        if (at < soonest) soonest = at;
      }
    return soonest;
  }

  void stage_dense(Index t, Index steps) {
    if (p_.shape.symbols)
      stage_one_hot(t, steps);
    else if (t >= ragged_until_ && steps == kChunk)
      stage_values(t);
    else
      stage_ragged(t, steps);
  }

  // Steps of this chunk before the lane is live.
  Index wait(int lane, Index t, Index steps) const {
    const Index left = start_[lane] - t;
    return left < 0 ? 0 : left < steps ? left : steps;
  }

  void clear_inputs(Index steps) {
    for (Index k = 0; k < steps; ++k)
      for (Index i = 0; i < p_.I; ++i) p_.sources[k * p_.n_sources + i] = splat(0.0f);
  }

  void stage_one_hot(Index t, Index steps) {
    clear_inputs(steps);
    for (int lane = 0; lane < V; ++lane) {
      const Index at = position(lane, t);
      float* source = reinterpret_cast<float*>(p_.sources) + lane;
      for (Index k = wait(lane, t, steps); k < steps; ++k)
        source[(k * p_.n_sources + source_[lane]->symbols[at + k]) * V] = 1.0f;
    }
  }

  // Loads a whole chunk of values, four floats of every lane at a time. All lanes are live.
  void stage_values(Index t) {
    const float* from[V];
    for (int lane = 0; lane < V; ++lane)
      from[lane] = source_[lane]->values + position(lane, t) * p_.I;
    Index k = 0, i = 0;  // kChunk I is a multiple of four
    for (Index n = 0; n < kChunk * p_.I; n += 4) {
      vec column[4];
      columns_from(from, column);
      for (int j = 0; j < 4; ++j) {
        p_.sources[k * p_.n_sources + i] = column[j];
        if (++i == p_.I) i = 0, ++k;
      }
      for (int lane = 0; lane < V; ++lane) from[lane] += 4;
    }
  }

  void stage_ragged(Index t, Index steps) {
    clear_inputs(steps);
    for (int lane = 0; lane < V; ++lane) {
      float* source = reinterpret_cast<float*>(p_.sources) + lane;
      for (Index k = wait(lane, t, steps); k < steps; ++k) {
        const float* x = source_[lane]->values + position(lane, t + k) * p_.I;
        for (Index i = 0; i < p_.I; ++i) source[(k * p_.n_sources + i) * V] = x[i];
      }
    }
  }

  ivec live_at(Index time) const {
    ivec live;
    for (int lane = 0; lane < V; ++lane) live[lane] = time >= start_[lane] ? -1 : 0;
    return live;
  }

  // Selects the targets of step k of the chunk that starts at t.
  void meet_targets(Index t, Index k) {
    event_.k = k, event_.time = t + k;
    for (int lane = 0; lane < V; ++lane) {
      event_.target[lane] = -1;
      if (next_[lane] < last_[lane] &&
          lanes_[lane].target_steps[next_[lane]] == position(lane, t + k))
        event_.target[lane] = next_[lane]++;
    }
    for (Index c = 0; c < p_.C; ++c)
      p_.cell_out[c] = cells_on_ ? p_.cell_out[c] : splat(0.0f);
  }

  std::int32_t symbol_now(int lane) const {
    return source_[lane]->symbols[position(lane, event_.time)];
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
    if (p_.shape.united) {
      UnitedOutputs::forward(p_);
      ColumnOutputs::errors(p_, lanes_, event_, false);
      UnitedOutputs::send_back(p_);
    } else if (!p_.output_rows) {
      ColumnOutputs::forward(p_, event_.k);
      ColumnOutputs::errors(p_, lanes_, event_, job_.output_derivative);
      ColumnOutputs::send_back(p_);
    } else {
      for (Index c = 0; c < p_.C; ++c) p_.back[c] = splat(0.0f);
      for (int lane = 0; lane < n_lanes_; ++lane)
        if (event_.wanted(lane)) {
          RowOutputs::errors(p_, lane, symbol_now(lane), lanes_[lane], event_,
                             job_.output_derivative);
          RowOutputs::send_back(p_, lane);
        }
    }
    for (Index c = 0; c < p_.C; ++c) p_.back[c] = cells_on_ ? p_.back[c] : splat(0.0f);
  }

  // Changes output weights, or adds to their gradients.
  void change_outputs() {
    if (p_.shape.united) return;
    if (!p_.output_rows)
      return ColumnOutputs::learn(p_, event_.k, p_.accumulate ? splat(1.0f) : rate_,
                                  event_.mask());
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (event_.wanted(lane))
        RowOutputs::learn(p_, lane, symbol_now(lane), p_.accumulate ? 1.0f : lanes_[lane].rate);
  }

  void write_errors() const {
    for (int lane = 0; lane < n_lanes_; ++lane) {
      if (!active(lane)) continue;
      lanes_[lane].max_abs[round_] = event_.max_abs[lane];
      lanes_[lane].sum_abs[round_] = event_.sum_abs[lane];
      lanes_[lane].sum_sq[round_] = event_.sum_sq[lane];
    }
  }

  const Job& job_;
  const Lane* lanes_;
  int n_lanes_;
  Plan p_;
  vec rate_;
  Event event_;
  ivec cells_on_;
  Index round_ = 0, length_ = 0, ragged_until_ = 0;
  const Lane* source_[V];  // whose data each element of a vector reads
  Index start_[V], first_[V], next_[V], last_[V];
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
