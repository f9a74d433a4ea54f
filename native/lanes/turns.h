// Turns of a group, for lanes.cc. In a turn every lane processes its next chunk. Lanes do not wait
// for each other at the ends of sequences.
//
// The chunks of a sequence are counted from its end, so they do not depend on other lanes.
#pragma once

#include "lanes/group.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

class Turns : protected LaneGroup {
 protected:
  using LaneGroup::LaneGroup;

  // Lets `lanes` begin their next sequences. Returns those that have one.
  ivec begin_sequences(ivec lanes) {
    ivec fresh{};
    each_lane(lanes, [&](int lane) {
      if (begun_[lane] == lanes_[lane].n_sequences) return;
      const Index* offset = lanes_[lane].offsets + begun_[lane];
      enter(lane, begun_[lane]++);
      at_[lane] = offset[0], left_[lane] = static_cast<std::int32_t>(offset[1] - offset[0]);
      until_[lane] = find_target(lane);
      fresh[lane] = -1;
    });
    started_ &= ~fresh;
    busy_ = (busy_ & ~lanes) | fresh;
    align(fresh);
    return fresh;
  }

  // Opens the window of the next turn. With `cut`, a lane's chunk ends at its next target.
  void open(bool cut) {
    const ivec none{}, part = left_ & isplat(kChunk - 1);
    running_ = busy_ & (delay_ == none);
    delay_ += delay_ > none ? isplat(-1) : none;
    ivec chunk = part == none ? isplat(kChunk) : part;
    if (cut) chunk = until_ < chunk ? until_ + isplat(1) : chunk;
    chunk = running_ ? chunk : none;
    const std::int32_t longest = most(chunk);
    steps_ = longest;
    wait_ = running_ ? isplat(longest) - chunk : isplat(kChunk);
    ragged_until_ = most(running_ ? wait_ : none);
    target_at_ = running_ ? until_ + wait_ : isplat(kNever);
    first_chunk_ = running_ & ~started_, started_ |= running_;
    last_chunk_ = running_ & (chunk == left_);
    left_ -= chunk;
    move(running_ ? -wait_ : none);
  }

  // Ends the turn.
  void close() {
    until_ = running_ ? target_at_ - isplat(static_cast<std::int32_t>(steps_)) : until_;
    move(running_ ? isplat(static_cast<std::int32_t>(steps_)) : ivec{});
  }

  ivec busy_{};        // lanes with steps left
  ivec running_{};     // those that take part in the turn
  ivec first_chunk_{}, last_chunk_{};  // those whose sequence begins or ends in the turn
  Index steps_ = 0, ragged_until_ = 0;  // of the window

 private:
  // Moves the lanes in their data.
  void move(ivec by) {
    alignas(ivec) std::int32_t steps[V];
    *reinterpret_cast<ivec*>(steps) = by;
    for (int lane = 0; lane < V; ++lane) at_[lane] += steps[lane];
  }

  // Delays the start of lanes so that sequences of almost the same length end in the same turn:
  // one turn with a target at the end costs less than many with one lane's target each. A lane
  // waits for at most an eighth of the time that its sequence takes.
  void align(ivec fresh) {
    const ivec turns = (left_ + isplat(kChunk - 1)) / kChunk;
    each_lane(fresh, [&](int lane) {
      const std::int32_t own = turns[lane], latest = own + own / 8;
      if (latest == own) return;
      const ivec ends = delay_ + turns;
      delay_[lane] = most((busy_ & (ends <= isplat(latest))) ? ends : isplat(own)) - own;
      if (delay_[lane] < 0) delay_[lane] = 0;
    });
  }

  ivec started_{};
  ivec left_{}, delay_{};  // steps left in the sequence, turns to wait
  ivec until_{};           // steps until the next target; between turns
  Index begun_[V] = {};    // sequences that the lane has begun
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
