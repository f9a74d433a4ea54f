// A whole call: windows of steps one after another, and the matrix products of each window.
#pragma once

#include <memory>

#include "sequence/sequence.h"

namespace carrousel {

// Limits of a window. Its net inputs should fit into the caches of two cores, but it needs enough
// rows to make gradients of large weights efficient.
constexpr Index kWindowBytes = Index{1} << 21, kWindowRows = 384;

// Arrays of a call, over all its steps T; letters and overlaps as in Window.
template <class Real>
struct Run {
  Index steps;
  bool reverse;
  Index recompute;              // steps of a segment whose tape is recomputed; 0: the tape is whole
  Index window;                 // steps of a window; 0: chosen by kWindowBytes
  Index samples;                // equal parts of B with separate weight gradients; 0: one for all
  bool fresh;                   // gradients of weights are overwritten; for calls of one step
  double zone_h, zone_s;
  const Real* x;                // [T, B, I], or [T, B, U] without w_ih
  const std::uint8_t* flags;    // [T, B] or null, as in Window
  const std::uint8_t* keep_h;   // [T, B, H] or null
  const std::uint8_t* keep_s;   // [T, B, D C] or null
  const Real *h0, *s0;          // [B, H] [B, D C] first state
  Real* out;                    // [T, B, H]
  Real* states;                 // [T, B, D C] or null: not kept; so for the next two
  Real* gates;                  // [T, B, gates_width()]
  Real* extra;                  // [T, B, Extra::width]
  Real* marks;                  // [segments, B, H + D C] state before each segment, or null

  // Backward. Errors are read and gradients written; each may be null. The caller sets gradients of
  // weights to zero, unless `fresh`; the call adds to them.
  const Real* d_out;            // [T, B, H]
  const Real* d_states;         // [T, B, D C]
  Real* d_x;                    // shape of x
  Real* d_w_ih;                 // [max(samples, 1), U, I]
  Real* d_w_hh;                 // [max(samples, 1), U, H]
  Real* d_bias;                 // [max(samples, 1), U]
  Real* d_w_hr;                 // [max(samples, 1), H, C]
};

// Writes the last state to q.h [B, H] and q.s [B, D C].
template <class Real>
void run_forward(const SequenceKernel<Real>& kernel, const Sequence<Real>& q, const Run<Real>& run);

// q.h and q.s hold the errors of the last state, and are replaced by the errors of the first state.
// `again` is packed for the forward pass and has separate h and s; may be null without recompute.
template <class Real>
void run_backward(const SequenceKernel<Real>& kernel, const Sequence<Real>& q,
                  const Sequence<Real>* again, const Run<Real>& run);

// Uninitialised memory, aligned to 64 bytes.
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
