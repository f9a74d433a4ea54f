// The contract of cascade-correlation: slopes of output weights and of candidates over one batch.
//
// Units are lanes: all candidates of a pool, or all outputs, read the same data with other weights.
// A batch holds the distinct sequences of an epoch. Its N places are ordered by time, and within
// one time step by length, longest sequence first. So the sequences that still run at a step are
// adjacent, and the first of those that ran at the step before.
//
// Everything is double. The order of each sum is that of the places, and products are added by
// fused operations, so results are the same bits on all instruction sets, with any other units.
//
// Weights of a unit are in the order bias, inputs, hidden units, and of a candidate last its own.
#pragma once

#include "common/carrousel.h"

namespace carrousel {

constexpr Index kCascadeLanes = 8;  // rows of errors and goals are padded to a multiple of this

// Arrays belong to the caller, who has checked all indices. Numbers need not be finite.
struct CascadeBatch {
  Index steps, times, targets, sequences;  // N T M, and distinct sequences
  Index alphabet;         // symbols; 0 if inputs are values
  Index dense;            // D: sources that are numbers: values, then hidden units
  Index outputs;          // O
  const Index* symbols;   // [N], or null
  const double* sources;  // [D, N]
  const Index* starts;    // [T + 1]: the first place of each time step; last: N
  const Index* at;        // [M]: places that have a target, ascending
  const Index* target_of; // [N]: the target of a place, or M
  const Index* sequence;  // [M]: the distinct sequence of each target
  const double* often;    // [M]: how many times that sequence occurs
  const double* goals;    // [M, padded()]
  double total;           // sum of `often`

  Index weights() const { return 1 + alphabet + dense; }  // F, without the own weight
  Index padded() const { return (outputs + kCascadeLanes - 1) / kCascadeLanes * kCascadeLanes; }
};

// Output units and their errors. Arrays that are written need not be initialised.
struct CascadeOutputs {
  const double* weights;               // [O, F]
  double offset;                       // added to the slope of the outputs
  double* errors;                      // [M, O] y - target; written
  double* slopes;                      // [O, F] of half the mean squared error; written
  double *max_abs, *sum_abs, *sum_sq;  // [sequences]; written
};

// Candidates for the next hidden unit.
struct CascadePool {
  Index size;             // P
  bool tanh;              // else logistic
  bool normalised;        // correlations are divided by the sum of squared errors
  const double* weights;  // [P, F + 1]
  const double* errors;   // [M, O] of the outputs
  double* merits;         // [P] correlations; written
  double* slopes;         // [P, F + 1] of the correlations; written
};

struct CascadeKernels {
  const char* name;
  void (*train_outputs)(const CascadeBatch&, const CascadeOutputs&);
  void (*train_pool)(const CascadeBatch&, const CascadePool&);
  void (*predict)(const CascadeBatch&, const double* weights, double* outputs);  // [O, F] [M, O]
  // Activations [N] of a hidden unit with weights [F + 1].
  void (*activate)(const CascadeBatch&, const double* weights, bool tanh, double* activations);
};

}  // namespace carrousel
