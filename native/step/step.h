// The contract of the single step: layers of one recurrence, one step per call, without learning.
//
// Letters are those of common/carrousel.h. A layer reads I inputs; its output has O components: H
// with a projection, else C (gates that are recurrent sources are left out).
//
// A StepNet and all that it points to are in one block of memory, which is laid out once. A step
// allocates no memory, takes no lock and runs on the calling thread. w_hh h depends on the state
// alone, so prepare() can compute it before the input of the step is known. Otherwise run() does.
#pragma once

#include "sequence/sequence.h"

namespace carrousel {

template <class Real>
struct StepLayer {
  // The recurrence, copies of small weights, packed w_hh and w_hr, state h [B, H] and s [B, D C].
  Sequence<Real> sequence;
  const void* w_ih;         // [U, I] of the caller, as other matrices; only load() reads it
  const float* s_ih;        // [U] its scales in int8, else null
  const Real* ln_ih;        // [U] or null
  Index inputs;             // I

  // "padded": to whole vectors.
  Real* packed;     // w_ih, packed
  Real* start;      // [U, padded] the bias of a described cell, which is added to x; else null
  Real *x, *r;      // [B, U padded] parts of the net inputs
  Real* m;          // [B, cell_output()]
  Real* projected;  // [B, H padded], or null
  Real* s_new;      // [D C] of one row
  Real* row;        // [4 C] of one row
  Real* gates;      // [gates_width()] of one row
  Real* narrow;     // factors of matrices in int8, or null
};

template <class Real>
struct StepNet {
  std::vector<StepLayer<Real>> layers;
  Index batch;
  double zone_h, zone_s;  // zoneout: share of the old value in the new one
  Real* in;               // [B, I] of the first layer
  Real* out;              // [B, O] of the last
  Real *h, *s;            // [layers, B, H] [layers, B, D C]
  bool prepared;          // the r of every layer belongs to the present state
};

template <class Real>
struct StepKernel {
  // Lays out the net from `memory` on and returns its size in numbers of Real; null: only counts.
  // Weights that are not null get memory for a copy, to which their pointers then point.
  std::size_t (*lay_out)(StepNet<Real>&, Real* memory);
  // Copies and packs the weights of every layer. They have the shapes that were laid out.
  void (*load)(StepNet<Real>&, const std::vector<StepLayer<Real>>& from);
  void (*prepare)(StepNet<Real>&);  // computes w_hh h of the next step
  void (*run)(StepNet<Real>&);      // one step, from `in` to `out`
};

struct StepKernels {
  const char* name;
  StepKernel<float> single;
  StepKernel<double> twofold;
};

const std::vector<const StepKernels*>& step_kernels();

}  // namespace carrousel
