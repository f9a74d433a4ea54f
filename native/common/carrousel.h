// The contract between Python and the kernels.
//
// Letters, once:
//   I inputs or symbols    O outputs       B blocks
//   C hidden units that outputs read: memory cells of all blocks, or all simple units
//   U hidden units: input gates, forget gates, cells, output gates, in this order; or simple units
//   S sources of a hidden unit: inputs, then hidden units of the step before (if recurrent)
//   F traces per source: 2 C, first those of the input gates (one per cell), then those of the cells
//   V lanes of one vector  K steps of one chunk  N sequences of a lane  M targets of a lane
//
// Flat weights of a lane, row-major, each row INTO a unit:
//   hidden_inputs [U, I], hidden_recurrent [U, U] (if recurrent), hidden_bias [biased units],
//   output_inputs [O, I] (if direct), output_cells [O, C], output_bias [O] (if biased). Of united
//   nets, whose outputs are the last O units, nothing after hidden_bias.
//
// Nothing here owns memory. Every pointer of a Lane is borrowed for the duration of one call, must
// not alias any other writable pointer of that call, and has been checked by check() first.
// A workspace is private to one run() at a time; its contents on entry do not matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace carrousel {

using Index = std::int64_t;

enum class Squash : int { unit, one, two, four, identity };  // [0,1] [-1,1] [-2,2] [-4,4] x
enum class Update : int { step, sequence, epoch };
enum class Kind : int { memory, logistic, tanh };  // memory cells, or simple units by their f
enum class Rule : int { truncated, bptt, rtrl, snap, uoro };

struct Shape {
  Kind kind;
  Index inputs, outputs, blocks, block_size;   // simple units are blocks of size 1
  Squash g, h;
  bool output_gate, forget_gate;
  bool recurrent;                              // hidden units feed hidden units
  bool direct;                                 // inputs feed outputs
  bool united;                                 // outputs are the last hidden units
  bool gate_bias, cell_bias, output_bias;
  bool symbols;                                // inputs are symbols, else values
  bool classes;                                // targets are classes, else values

  bool memory() const { return kind == Kind::memory; }
  Index cells() const { return blocks * block_size; }
  Index first_cell() const { return memory() ? blocks * (1 + forget_gate) : 0; }
  Index units() const {
    return cells() + (memory() ? blocks * (1 + forget_gate + output_gate) : 0);
  }
  bool biased(Index unit) const {
    const bool is_cell = unit >= first_cell() && unit < first_cell() + cells();
    return is_cell ? cell_bias : gate_bias;
  }
};

struct Lane {
  const float* values;              // [steps, I], or null when inputs are symbols
  const std::int32_t* symbols;      // [steps], or null
  const Index* offsets;             // [N + 1]
  const float* targets;             // [M, O], or null when targets are classes
  const std::int32_t* classes;      // [M], or null
  const Index* target_steps;        // [M], ascending
  const Index* target_offsets;      // [N + 1]: targets of sequence n are [n], [n + 1)
  Index n_sequences, n_steps, n_targets;
  Index cells_from;                 // cells and gates take part from this sequence on
  float rate;
  const std::uint64_t* seeds;       // [N] of the signs that uoro draws; may be null for others
  float* weights;                   // [W], read; written when learning, unless gradient is set
  float* gradient;                  // [W], written instead of weights; null to change weights
  float* max_abs;                   // [N] each, written when learning
  float* sum_abs;
  float* sum_sq;
  float* outputs;                   // [M, O], written when predicting
};

struct Job {
  Shape shape;
  Update update;
  bool output_derivative;
  float initial_activation;
  bool learn;
  Rule rule;
  Index depth, stride;              // of bptt: steps back (0: all), and steps between going back
  Index longest;                    // steps of the longest sequence; run_lanes() fills it in
  // Write the gradient of all sequences of a lane instead of applying it; needs learn and epoch.
  bool gradient;

  // What lanes.cc does not know goes through paths.cc.
  bool path() const {
    return !shape.memory() || shape.forget_gate || (learn && rule != Rule::truncated);
  }
};

struct SequenceKernels;  // of sequence.h
struct StepKernels;      // of step.h
struct StreamKernels;    // of stream.h

// One compiled copy of the kernels.
struct Kernel {
  const char* name;
  int width;                                                        // V
  std::size_t (*workspace_bytes)(const Job&);                       // 64-byte aligned; may throw
  void (*run)(const Job&, const Lane* lanes, int n_lanes, void* workspace);  // n_lanes <= width
  const SequenceKernels* sequences;
  const StepKernels* steps;
  const StreamKernels* streams;
};

// Its two parts, one of which a job goes to.
struct Part {
  std::size_t (*workspace_bytes)(const Job&);
  void (*run)(const Job&, const Lane* lanes, int n_lanes, void* workspace);
};

// Kernels this processor can run, best first.
const std::vector<const Kernel*>& kernels();

// Throws std::invalid_argument with a sentence unless the lane can be run without reading or
// writing out of bounds and without meeting a value that is not finite.
void check(const Job& job, const Lane& lane, Index lane_number);
void check_overlaps(const Job& job, const std::vector<Lane>& lanes);  // throws the same
Index weight_count(const Shape& shape);

// Runs any number of lanes in groups of one vector, on up to `threads` threads.
void run_lanes(const Kernel& kernel, Job job, std::vector<Lane>& lanes, int threads);

}  // namespace carrousel
