// Rounds of a group, for paths.cc. A round processes one sequence of every lane. The sequences end
// together: a lane with a shorter one becomes live later.
#pragma once

#include "lanes/group.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

class Rounds : protected LaneGroup {
 protected:
  using LaneGroup::LaneGroup;

  Index most_sequences() const {
    Index most = 0;
    for (int lane = 0; lane < n_lanes_; ++lane)
      if (lanes_[lane].n_sequences > most) most = lanes_[lane].n_sequences;
    return most;
  }

  bool active(int lane) const { return lane < n_lanes_ && round_ < lanes_[lane].n_sequences; }

  void begin_round(Index n) {
    round_ = n, length_ = 0, active_ = ivec{};
    for (int lane = 0; lane < n_lanes_; ++lane) {
      if (!active(lane)) continue;
      active_[lane] = -1;
      if (length_of(lane) > length_) length_ = length_of(lane);
      enter(lane, n);
    }
    for (int lane = 0; lane < V; ++lane) {
      start_[lane] = active(lane) ? length_ - length_of(lane) : length_;
      first_[lane] = active(lane) ? lanes_[lane].offsets[n] : 0;
    }
  }

  // Opens the window of steps t to t + steps - 1 of the round.
  void open(Index t, Index steps) {
    full_ = true;
    for (int lane = 0; lane < V; ++lane) {
      const Index late = start_[lane] - t, wait = late > 0 ? late : 0;
      const bool absent = !active(lane) || wait >= steps;
      wait_[lane] = static_cast<std::int32_t>(absent ? kChunk : wait);
      at_[lane] = step_at(lane, t);
      target_at_[lane] = absent ? kNever : find_target(lane);
      full_ &= wait == 0 || !active(lane);
    }
  }

  // The step of the lane's data at step t of the round. Not valid before the lane is live.
  Index step_at(int lane, Index t) const { return first_[lane] + t - start_[lane]; }

  Index round_ = 0, length_ = 0;
  bool full_ = false;  // all active lanes are live in the whole window
  ivec active_{};
  Index start_[V], first_[V];  // the lane's first step in the round, and in its data

 private:
  Index length_of(int lane) const {
    return lanes_[lane].offsets[round_ + 1] - lanes_[lane].offsets[round_];
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
