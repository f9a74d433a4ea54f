// The contract between Python and the kernels.
//
// Letters of shapes. They mean the same in all of native/ and are those of the table in
// src/carrousel/shapes.py:
//   T time steps of a sequence or window
//   B entries of a batch: sequences, lanes or streams
//   I inputs: components of an input vector, or symbols of the alphabet
//   O outputs
//   C cells of a layer: memory cells of all blocks, or simple units
//   U units of a hidden layer: gates and cells together (sequence kernels: rows of w_hh)
//   H components of the hidden state that is fed back; C without a projection or gate sources
//   D state vectors of a cell besides the hidden state (LSTM: 1, GRU: 0)
//   P parameters of a cell besides its weights and biases, such as peepholes
//   S sources of a hidden unit: inputs, units fed back, and the constant 1 of the bias
//   W weights of one network
//   N sequences of a lane, or rows of a stream
//   M time steps of a lane that have a target
// Letters of native/ alone:
//   V numbers in one vector of float
//   F traces of one source: 2 C, first the traces of input gates, one per cell, then those of cells
// D C is the product of D and C. Other sizes are words. The order of a layer's units is input
// gates, forget gates, cells, output gates; the sequence kernels use the order of torch.
//
// Flat weights of a lane [W], row-major. A row holds the weights into one unit:
//   hidden_inputs [U, I], hidden_recurrent [receivers, units fed back] (if recurrent),
//   hidden_bias [biased units],
//   output_inputs [O, I] (if direct), output_cells [O, C], output_bias [O] (if biased).
// The outputs of united nets are the last O units. Their weights end with hidden_bias.
//
// All arrays are row-major and contiguous. Nothing here owns memory. Pointers of a Lane are
// borrowed for one call, after check() and check_overlaps(). An array that is written overlaps no
// other array of the call. A workspace belongs to one run() at a time and need not be initialised.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace carrousel {

using Index = std::int64_t;

// Ranges of squashing functions: [0,1], [-1,1], [-2,2], [-4,4]; identity returns x.
enum class Squash : int { unit, one, two, four, identity };
enum class Update : int { step, sequence, epoch };
// Memory cells, or simple units with this activation.
enum class Kind : int { memory, logistic, tanh };
enum class Rule : int { truncated, bptt, rtrl, snap, uoro };
// Groups of hidden units, in the order of a layer's units. Simple units are cells.
enum class Group : int { input_gates, forget_gates, cells, output_gates };

// Some of the groups: bit g is group g.
struct Groups {
  std::uint32_t bits;

  bool has(Group g) const { return bits >> static_cast<int>(g) & 1; }
  bool any() const { return bits != 0; }
};

struct Shape {
  Kind kind;
  Index inputs, outputs;                       // I O
  Index blocks, block_size;                    // simple units are blocks of size 1
  Squash g, h;
  bool output_gate, forget_gate;
  Groups fed_back;                             // hidden units that feed those of the next step
  Groups receivers;                            // hidden units that they feed
  Groups biased_groups;                        // hidden units that have a bias
  bool direct;                                 // outputs read inputs
  bool united;                                 // outputs are the last hidden units
  bool output_bias;
  bool symbols;                                // inputs are symbols, else values
  bool classes;                                // targets are classes, else values

  bool memory() const { return kind == Kind::memory; }
  bool recurrent() const { return fed_back.any(); }
  Index cells() const { return blocks * block_size; }  // C
  Index first_cell() const { return memory() ? blocks * (1 + forget_gate) : 0; }
  Index units() const {  // U
    return cells() + (memory() ? blocks * (1 + forget_gate + output_gate) : 0);
  }
  Index size(Group g) const {  // units of a group
    if (g == Group::cells) return cells();
    const bool there = g == Group::input_gates    ? true
                       : g == Group::forget_gates ? forget_gate
                                                  : output_gate;
    return memory() && there ? blocks : 0;
  }
  Index count(Groups groups) const {  // units of some groups
    Index sum = 0;
    for (int g = 0; g < 4; ++g)
      if (groups.has(static_cast<Group>(g))) sum += size(static_cast<Group>(g));
    return sum;
  }
  Group group(Index unit) const {
    if (unit >= first_cell() + cells()) return Group::output_gates;
    if (unit >= first_cell()) return Group::cells;
    return unit < blocks ? Group::input_gates : Group::forget_gates;
  }
  bool feeds(Index unit) const { return fed_back.has(group(unit)); }
  bool receives(Index unit) const { return receivers.has(group(unit)); }
  bool biased(Index unit) const { return biased_groups.has(group(unit)); }
};

// One network and its data. Steps are counted from the start of the lane's data.
struct Lane {
  Index number;                     // of the lane in the call, for messages
  const float* values;              // [n_steps, I], or null if inputs are symbols
  const std::int32_t* symbols;      // [n_steps], or null
  const Index* offsets;             // [N + 1]: first step of each sequence; last: n_steps
  const float* targets;             // [M, O], or null if targets are classes
  const std::int32_t* classes;      // [M], or null
  const Index* target_steps;        // [M]: steps that have a target, ascending
  const Index* target_offsets;      // [N + 1]: first target of each sequence; last: n_targets
  Index n_sequences, n_steps, n_targets;  // N, steps of all sequences, M
  Index cells_from;                 // outputs read cells, and these learn, from this sequence on
  float rate;                       // learning rate
  const std::uint64_t* seeds;       // [N]: seeds of uoro's random signs; else may be null
  float* weights;                   // [W]: read; written when learning, unless gradient is set
  float* gradient;                  // [W]: written instead of weights; null to change weights
  float* max_abs;                   // [N]: largest absolute error of a sequence; when learning
  float* sum_abs;                   // [N]: sum of its absolute errors; written when learning
  float* sum_sq;                    // [N]: sum of its squared errors; written when learning
  float* outputs;                   // [M, O]: written when predicting
};

struct Job {
  Shape shape;
  Update update;
  bool output_derivative;           // errors include the slope of the output units, which is
  float derivative_floor;           // at least this,
  float derivative_offset;          // and has this added to it
  float error_tolerance;            // smaller errors of outputs are not learned
  float initial_activation;         // of hidden units before the first step
  bool learn;                       // else predict
  Rule rule;
  Index depth, stride;              // of bptt: steps to go back (0: all), steps between passes
  Index longest;                    // steps of the longest sequence; run_lanes() sets it
  // Write the summed gradient of a lane's sequences instead of applying it; needs learn and epoch.
  bool gradient;
  const float* paths;               // [U, U] of rtrl, from and to a unit: 1 for recurrent weights
                                    // along which sensitivities move, else 0; null: all
  const float* factors;             // [W]: of the learning rate of each weight; null: all are 1

  // Whether paths.cc runs the job. lanes.cc runs the truncated gradient of 1997 alone.
  bool path() const {
    return !shape.memory() || shape.forget_gate || (learn && rule != Rule::truncated);
  }
};

struct ChunkerKernel;    // chunker/chunker.h
struct SequenceKernels;  // sequence/sequence.h
struct StepKernels;      // step/step.h
struct StreamKernels;    // stream/stream.h
struct RuleKernels;      // stream/least_squares.h
struct SampleKernels;    // sample/sample.h
struct CascadeKernels;   // cascade/cascade.h

// The kernels compiled for one instruction set.
struct Kernel {
  const char* name;
  int width;                                                        // V
  // Bytes of the workspace of run(), which is aligned to 64 bytes. Throws std::invalid_argument if
  // the network is too large.
  std::size_t (*workspace_bytes)(const Job&);
  // Runs lanes [n_lanes], at most one vector of them, in workspace [workspace_bytes()]. Throws
  // std::invalid_argument if their inputs are not finite; their weights are then as before.
  void (*run)(const Job&, const Lane* lanes, int n_lanes, void* workspace);
  const SequenceKernels* sequences;
  const StepKernels* steps;
  const StreamKernels* streams;
  const RuleKernels* rules;
  const ChunkerKernel* chunkers;
  const SampleKernels* samples;
  const CascadeKernels* cascades;
};

// Workspace and run() of a Kernel for some of the jobs: lanes.cc and paths.cc have one each.
struct Part {
  std::size_t (*workspace_bytes)(const Job&);
  void (*run)(const Job&, const Lane* lanes, int n_lanes, void* workspace);
};

// Kernels that this processor can run, fastest first.
const std::vector<const Kernel*>& kernels();

// Checks the numbers of a job. Throws std::invalid_argument if one is not finite.
void check(const Job& job);
// Checks the contents of a lane's arrays, but for the values of inputs, which run() checks. Throws
// std::invalid_argument if offsets are out of bounds or a value is not finite.
void check(const Job& job, const Lane& lane, Index lane_number);
// Throws std::invalid_argument if an input value of a lane is not finite.
void check_inputs(const Lane& lane, Index inputs, Index lane_number);
// Throws std::invalid_argument: inputs of a lane are not finite.
[[noreturn]] void refuse_inputs(Index lane_number);
// Throws std::invalid_argument if memory that is written overlaps another array.
void check_overlaps(const Job& job, const std::vector<Lane>& lanes);
Index weight_count(const Shape& shape);  // W

// Runs any number of lanes, one vector of them at a time, on up to `threads` threads. If run()
// throws, so does this, and no weights have changed.
void run_lanes(const Kernel& kernel, Job job, std::vector<Lane>& lanes, int threads);

}  // namespace carrousel
