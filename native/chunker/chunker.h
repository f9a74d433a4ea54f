// The contract of the neural sequence chunker: two nets of simple units that learn together.
//
// Letters are those of common/carrousel.h, and H is the number of hidden units. The net below,
// the automatizer, receives every input and predicts O targets. Its further outputs predict the
// state of the net above, the chunker, which receives the inputs that the net below did not predict.
// Its further inputs, and as many outputs, are the binary digits of the time step.
// src/carrousel/learners/chunker/ describes the algorithm.
//
// Arithmetic is in float, with sums of 16 parts and fused operations where fma() is called, so that
// all instruction sets but plain compute the same bits. A trial never depends on other trials.
#pragma once

#include "common/carrousel.h"

namespace carrousel {

// A net with wiring `full` or `direct`. Its flat weights [W], row-major:
//   hidden_inputs [H, I], hidden_recurrent [H, H], hidden_bias [H] (if biased),
//   output_inputs [O, I] (if direct), output_cells [O, H], output_bias [O] (if biased).
struct SimpleNet {
  Index inputs, units, outputs;  // I H O
  bool tanh;                     // hidden units; else logistic
  bool direct;                   // outputs read inputs
  bool hidden_bias, output_bias;
};

struct ChunkerJob {
  SimpleNet below, above;
  Index depth;                   // steps that an error reaches, including its own
  float rate;                    // learning rate of both nets, finite
  float threshold;               // a target was predicted if all its errors are smaller
  bool symbols, classes;         // inputs are symbols, else values; targets are classes
  bool learn;                    // else predict with the net below alone

  Index digits() const { return above.inputs - below.inputs; }  // of the time step
  Index targets() const { return above.outputs - digits(); }    // O of the data
  Index watched() const { return below.outputs - targets(); }   // numbers of the state above
};

// One pair of nets and its data. Unused members of the lane: cells_from, rate, seeds, gradient.
struct ChunkerTrial {
  Lane lane;          // its weights are those of the net below; its outputs are [M, O]
  float* above;       // weights of the net above; read and written when learning
  Index* surprises;   // [N]: inputs of the net above; written when learning
};

// The kernel of one instruction set.
struct ChunkerKernel {
  // Bytes of the workspace of run(), which is aligned to 64 bytes.
  std::size_t (*workspace_bytes)(const ChunkerJob&);
  void (*run)(const ChunkerJob&, const ChunkerTrial&, void* workspace);
};

Index weight_count(const SimpleNet& net);  // W
// Throws std::invalid_argument unless the two nets fit together and all numbers are in range.
void check(const ChunkerJob& job);
// Checks the contents of a trial's arrays.
void check(const ChunkerJob& job, const ChunkerTrial& trial, Index number);

// Runs any number of trials on up to `threads` threads.
void run_chunkers(const ChunkerKernel& kernel, const ChunkerJob& job,
                  const std::vector<ChunkerTrial>& trials, int threads);

}  // namespace carrousel
