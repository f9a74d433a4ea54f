// One direction of one layer: its weights, and the memory that a call needs.
#pragma once

#include <algorithm>

#include "sequence/checks.h"
#include "sequence/run.h"

namespace carrousel {

inline void check_shares(double zone_h, double zone_s) {
  if (!(zone_h >= 0 && zone_h <= 1 && zone_s >= 0 && zone_s <= 1))
    refuse("zone_h is ", zone_h, " and zone_s ", zone_s, ", expected 0..1");
}

template <class Real>
class Layer {
 public:
  Layer(const SequenceKernel<Real>& kernel, const Recurrence& recurrence, bool learn)
      : kernel(kernel) {
    q.recurrence = recurrence, q.learn = learn;
  }

  // To be called when weights and settings are there.
  void check() const {
    const Recurrence& R = q.recurrence;
    const auto& w = q.weights;
    if (q.all_threads < 1) refuse("threads is 0, expected 1..1024");
    if (q.cut < -1)
      refuse("cut is ", q.cut, ", expected at least -1");
    check_parts(R, {.w_hh = w.w_hh != nullptr,
                    .w_ih = w.w_ih != nullptr,
                    .bias = w.bias != nullptr,
                    .unit = w.unit != nullptr,
                    .w_hr = w.w_hr != nullptr,
                    .ln_ih = w.ln_ih != nullptr,
                    .ln_hh = w.ln_hh != nullptr,
                    .ln_c = w.ln_c != nullptr});
    if (R.kind == CellKind::described && R.layer_norm && w.w_ih)
      refuse("w_ih must be None for a described cell with layer_norm; give net inputs as x");
    if (q.storage != Storage::real && R.products)
      refuse("storage is given, expected '' for a cell with several recurrent products");
    if (w.drop && !q.sources)
      refuse("drop is given, but sources is false; set sources");
  }

  // Packs the weights. h [B, H] and s [B, D C] will hold the state.
  void open(Real* h, Real* s, const Run<Real>& run) {
    const bool plain = !run.keep_h && !run.keep_s && run.zone_h == 0 && run.zone_s == 0;
    const Index rows = run.steps * q.batch, weights = q.recurrence.net_inputs * q.recurrence.sources;
    q.h = h, q.s = s, q.packed = nullptr, q.scratch = nullptr;
    q.unpacked = q.storage == Storage::real && rows <= (q.learn ? kFewErrors : kFewRows);
    q.split = plain && !q.unpacked && kernel.splits(q);
    if (rows <= kFewErrors && weights <= kSmallWeights) q.all_threads = 1;
    q.threads = q.split
                    ? q.all_threads
                    : static_cast<int>(std::min<Index>(q.all_threads, std::max<Index>(q.batch, 1)));
    packed_ = Buffer<Real>(static_cast<Index>(kernel.packed_size(q)));
    q.packed = packed_.data();
    scratch_ = Buffer<Real>(static_cast<Index>(kernel.scratch_size(q)) * q.threads);
    q.scratch = scratch_.data();
    if (q.learn) share();
    kernel.pack(q);
  }

  // Adds the sums of all threads to the gradients of parameters that all steps share; null: unwanted.
  void gather(const Shared<Real>& to) const {
    const Recurrence& R = q.recurrence;
    const auto add = [&](Real* Shared<Real>::*part, Index n) {
      for (const auto& slice : q.shared)
        for (Index i = 0; to.*part && slice.*part && i < n; ++i) (to.*part)[i] += (slice.*part)[i];
    };
    add(&Shared<Real>::unit, R.unit_parameters * R.units);
    add(&Shared<Real>::ln_ih, R.net_inputs), add(&Shared<Real>::ln_hh, R.net_inputs);
    add(&Shared<Real>::ln_c, 2 * R.units);
    add(&Shared<Real>::fresh_h, R.sources), add(&Shared<Real>::fresh_s, R.state_width());
  }

  const SequenceKernel<Real>& kernel;
  Sequence<Real> q{};

 private:
  // Calls of at most so many rows pack nothing and read the weights once for every four rows. The
  // forward pass adds up along the weights' rows, which pays for fewer rows.
  static constexpr Index kFewRows = 6, kFewErrors = 32;
  // Few rows with at most so many recurrent weights run on one thread.
  static constexpr Index kSmallWeights = Index{1} << 16;

  void share() {
    const Recurrence& R = q.recurrence;
    const Index sizes[] = {
        q.weights.unit || R.kind == CellKind::described ? R.unit_parameters * R.units : 0,
        q.weights.ln_ih ? R.net_inputs : 0,
        R.layer_norm ? R.net_inputs : 0,
        q.weights.ln_c ? 2 * R.units : 0,
        R.sources,
        R.state_width()};
    Index total = 0;
    for (const Index n : sizes) total += (n + 15) / 16 * 16;
    gathered_ = Buffer<Real>(total * q.threads);
    Real* at = gathered_.data();
    std::fill_n(at, total * q.threads, Real{0});
    for (int i = 0; i < q.threads; ++i) {
      Shared<Real> slice{};
      Real** const parts[] = {&slice.unit, &slice.ln_ih,   &slice.ln_hh,
                              &slice.ln_c, &slice.fresh_h, &slice.fresh_s};
      for (int k = 0; k < 6; ++k)
        *parts[k] = sizes[k] ? at : nullptr, at += (sizes[k] + 15) / 16 * 16;
      q.shared.push_back(slice);
    }
  }

  Buffer<Real> packed_, scratch_, gathered_;
};

}  // namespace carrousel
