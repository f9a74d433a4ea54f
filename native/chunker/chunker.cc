// Learning and prediction of one pair of nets, for one instruction set.
#include "chunker/chunker.h"

#include <algorithm>

#include "chunker/net.h"

namespace carrousel::CARROUSEL_ISA {

extern const ChunkerKernel chunkers;

namespace {

// Errors of one sequence, in sixteen parts.
struct Tally {
  vec max_abs[kParts] = {}, sum_abs[kParts] = {}, sum_sq[kParts] = {};
};

// Both nets of a trial, and the memory that they share.
struct Pair {
  const ChunkerJob& job;
  Index O;
  Net below, above;
  // Masks of the outputs below: targets; the state of the net above; both. And of all above.
  float *targets, *watched, *all, *all_above;

  Pair(const ChunkerJob& j, Places& from)
      : job(j), O(j.targets()), below(j.below, j.depth, from), above(j.above, j.depth, from) {
    targets = from.take(below.outputs), watched = from.take(below.outputs);
    all = from.take(below.outputs), all_above = from.take(above.outputs);
  }

  static void mark(float* mask, Index size, Index from, Index to) {
    for (Index k = 0; k < size; k += V) {
      const ivec place = counted() + isplat(static_cast<std::int32_t>(k));
      at(mask + k) = (vec)((place >= isplat(static_cast<std::int32_t>(from))) &
                           (place < isplat(static_cast<std::int32_t>(to))));
    }
  }

  void load(const ChunkerTrial& trial) const {
    mark(targets, below.outputs, 0, O), mark(watched, below.outputs, O, below.O);
    mark(all, below.outputs, 0, below.O), mark(all_above, above.outputs, 0, above.O);
    below.load(trial.lane.weights);
    if (trial.above) above.load(trial.above);
  }

  // Writes the goals of the outputs that predict the state of the net above.
  void watch() const {
    float* goal = below.goal + O;
    if (!job.watched()) return;
    const float* const h = above.h(above.newest);
    for (Index i = 0; i < above.H; ++i)  // a tanh unit's range is mapped to that of an output
      goal[i] = above.tanh ? 0.5f * (h[i] + 1.0f) : h[i];
    goal += above.H;
    for (Index k = 0; k < job.watched() - above.H; ++k) goal[k] = above.y[k];
  }

  // Sets the delta of the outputs where the mask is set, and 0 elsewhere. The goal of output `one`
  // is 1; -1: none. Returns whether all targets were predicted; with Count only.
  template <bool Count>
  bool compare(const Net& net, const float* mask, Index one, Tally& tally) const {
    const ivec hot = isplat(static_cast<std::int32_t>(one));
    ivec place = counted();
    vec worst[kParts] = {};
    for (Index k = 0; k < net.outputs; k += kWide)
      for (int p = 0; p < kParts; ++p, place += isplat(V)) {
        const Index i = k + p * V;
        const vec y = at(net.y + i);
        const vec goal = place == hot ? splat(1.0f) : at(net.goal + i);
        const vec error = (vec)((ivec)(y - goal) & (ivec)at(mask + i));
        at(net.delta + i) = job.rate * (error * logistic_slope(y));
        if (!Count) continue;
        const vec own = (vec)((ivec)error & (ivec)at(targets + i)), size = absolute(own);
        worst[p] = larger(worst[p], size);
        tally.sum_abs[p] += size, tally.sum_sq[p] = fma(own, own, tally.sum_sq[p]);
      }
    if (!Count) return true;
    for (int p = 0; p < kParts; ++p) tally.max_abs[p] = larger(tally.max_abs[p], worst[p]);
    return all_below(worst, job.threshold);
  }

  Inputs inputs(const Lane& lane, Index first, Index digits) const {
    const Index I = below.I;
    return {lane.symbols ? lane.symbols + first : nullptr,
            lane.symbols ? nullptr : lane.values + first * I, I, digits};
  }

  void learn(const ChunkerTrial& trial) {
    for (Index n = 0; n < trial.lane.n_sequences; ++n) learn(trial, n);
    below.save(trial.lane.weights), above.save(trial.above);
  }

  void learn(const ChunkerTrial& trial, Index n) {
    const Lane& lane = trial.lane;
    const Index first = lane.offsets[n], steps = lane.offsets[n + 1] - first;
    const Inputs x = inputs(lane, first, 0), x_above = inputs(lane, first, job.digits());
    Index m = lane.target_offsets[n], received = 0;
    const Index end = lane.target_offsets[n + 1];
    Tally tally;
    below.reset(), above.reset();
    bool surprise = true;
    for (Index t = 0; t < steps; ++t) {
      if (surprise) {
        above.step(x_above, t);
        watch();
        ++received;
      }
      below.step(x, t);
      const bool aimed = m < end && lane.target_steps[m] == first + t;
      const Index one = aimed && job.classes ? lane.classes[m] : -1;
      if (aimed && !job.classes) aim(lane.targets + m * O);
      m += aimed;
      bool missed = false;
      if (aimed) missed = !compare<true>(below, all, one, tally);
      else compare<false>(below, watched, one, tally);
      below.learn(x);
      surprise = missed || !aimed;
      if (!missed) continue;
      for (Index d = 0; d < job.digits(); ++d)
        above.goal[O + d] = (t + 1) >> d & 1 ? 1.0f : 0.0f;
      compare<false>(above, all_above, one, tally);
      above.learn(x_above);
    }
    lane.max_abs[n] = largest_of(tally.max_abs);
    lane.sum_abs[n] = sum_of(tally.sum_abs), lane.sum_sq[n] = sum_of(tally.sum_sq);
    trial.surprises[n] = received;
  }

  void aim(const float* goals) const {
    std::copy_n(goals, O, below.goal), std::copy_n(goals, O, above.goal);
  }

  // The outputs of the net below at the steps that have a target.
  void predict(const Lane& lane) {
    for (Index n = 0, m = 0; n < lane.n_sequences; ++n) {
      const Index first = lane.offsets[n], steps = lane.offsets[n + 1] - first;
      const Inputs x = inputs(lane, first, 0);
      below.reset();
      for (Index t = 0; t < steps; ++t) {
        below.advance(x, t);
        if (m == lane.n_targets || lane.target_steps[m] != first + t) continue;
        below.read_out(x, t, O, below.y);
        std::copy_n(below.y, O, lane.outputs + m++ * O);
      }
    }
  }
};

std::size_t workspace_bytes(const ChunkerJob& job) {
  Places counted{nullptr};
  const Pair pair(job, counted);
  return static_cast<std::size_t>(counted.size) * sizeof(float);
}

void run(const ChunkerJob& job, const ChunkerTrial& trial, void* workspace) {
  Places places{static_cast<float*>(workspace)};
  Pair pair(job, places);
  pair.load(trial);
  if (job.learn) pair.learn(trial);
  else pair.predict(trial.lane);
}

}  // namespace

const ChunkerKernel chunkers = {workspace_bytes, run};

}  // namespace carrousel::CARROUSEL_ISA
