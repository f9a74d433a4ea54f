// The contract of the single step: layers of one recurrence, one step a call, for deployment.
//
// Letters are those of sequence.h; I is the width of what a layer reads, O of what it shows (M, or
// K with a projection; gates that are sources are not shown). A StepNet and all it points to live
// in one block of memory that is laid out once: a step allocates nothing, waits for nothing and
// runs on the thread that calls it. Sums of w_hh h need the state alone, so they may be made before
// the input of the step is known (prepare); a step makes them itself where they are missing.
#pragma once

#include "sequence/sequence.h"

namespace carrousel {

template <class Real>
struct StepLayer {
  Sequence<Real>
      sequence;  // recurrence, own weights, packed w_hh and w_hr, state h [B, K] s [B, S M]
  const Real* w_ih;         // [N, I] as it came; read by load alone
  const Real* ln_ih;        // [N] or null
  Index inputs;             // I

  Real* packed;     // w_ih
  Real* start;      // [stride of N] of a described cell: its bias, which belongs to x
  Real *x, *r;      // [B, stride of N] parts of the net inputs
  Real* m;          // [B, cell_output()]
  Real* projected;  // [B, stride of K]
  Real* s_new;      // [S M] of one row
  Real* row;        // [4 M] of one row
  Real* gates;      // [G] of one row
};

template <class Real>
struct StepNet {
  std::vector<StepLayer<Real>> layers;
  Index batch;
  double zone_h, zone_s;  // shares of the old value that are mixed in
  Real* in;               // [B, I] of the first layer
  Real* out;              // [B, O] of the last
  Real *h, *s;            // [layers, B, K] [layers, B, S M]
  bool prepared;          // every r holds what the state demands
};

template <class Real>
struct StepKernel {
  // Lays everything out from memory on (null: counts only); returns numbers of Real. Pointers to
  // weights say what is present, and afterwards where their copies go.
  std::size_t (*lay_out)(StepNet<Real>&, Real* memory);
  // Copies and packs weights of every layer, of the same shapes as were laid out.
  void (*load)(StepNet<Real>&, const std::vector<StepLayer<Real>>& from);
  void (*prepare)(StepNet<Real>&);
  void (*run)(StepNet<Real>&);
};

struct StepKernels {
  const char* name;
  StepKernel<float> single;
  StepKernel<double> twofold;
};

const std::vector<const StepKernels*>& step_kernels();

}  // namespace carrousel
