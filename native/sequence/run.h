// A whole call: windows of steps one after another, and the products around each of them.
#pragma once

#include <memory>

#include "sequence/sequence.h"

namespace carrousel {

// Steps of a window are few enough for its net inputs to stay in the caches of two cores, unless
// that left too few rows to add gradients of large weights for.
constexpr Index kWindowBytes = Index{1} << 21, kWindowRows = 384;

// Arrays of a call, over all steps; letters and aliasing as in Window. Null where a comment allows.
template <class Real>
struct Run {
  Index steps;
  bool reverse;
  Index recompute;              // steps of a segment whose tape is made anew; 0: the tape is whole
  Index window;                 // steps of a window; 0: by kWindowBytes
  Index samples;  // gradients of weights come one for each of so many parts of the batch
  double zone_h, zone_s;
  const Real* x;                // [T, B, I], or [T, B, N] where there is no w_ih
  const std::uint8_t *flags, *keep_h, *keep_s;  // or null
  const Real *h0, *s0;          // [B, K] [B, S M]
  Real* out;                    // [T, B, K]
  Real *states, *gates, *extra; // whole tape, or null
  Real* marks;                  // [segments, B, K + S M] state before each segment, or null

  // The way back: errors come, each may be null, and gradients go, each may be null.
  const Real *d_out, *d_states;
  Real *d_x, *d_w_ih, *d_w_hh, *d_bias, *d_w_hr;  // d_x as x; others [samples, ...]; zero at first
};

// q.h, q.s: where the last state goes.
template <class Real>
void run_forward(const SequenceKernel<Real>& kernel, const Sequence<Real>& q, const Run<Real>& run);

// q.h, q.s: errors of the last state; in the end of the first. `again` is made for the way forward
// and has a state of its own; it may be null without recompute.
template <class Real>
void run_backward(const SequenceKernel<Real>& kernel, const Sequence<Real>& q,
                  const Sequence<Real>* again, const Run<Real>& run);

// Memory of a call, not initialised; 64-byte aligned.
template <class Real>
class Buffer {
 public:
  explicit Buffer(Index numbers = 0);
  Real* data() const { return memory_.get(); }

 private:
  struct Free {
    void operator()(Real* memory) const;
  };
  std::unique_ptr<Real, Free> memory_;
};

}  // namespace carrousel
