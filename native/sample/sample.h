// The contract of drawn data: random numbers that are functions of a key and their place, and the
// tasks that are made of them.
//
// The generator is Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// 2011). It maps a key of 64 bits and a counter of 128 bits, a block, to four words of 32 bits. The
// counter consists of the number of the block (64 bits), a stream and an attempt (32 bits each).
// 32 successive blocks are a panel of 128 words: word 32 o + b of panel p is output o of block
// 32 p + b. All numbers follow from words by whole numbers and by +, -, * and sqrt of float32 in a
// fixed order, so they have the same bits on every instruction set.
//
// Letters are those of common/carrousel.h. All arrays are row-major and contiguous, and the caller
// has checked them.
#pragma once

#include "common/carrousel.h"

namespace carrousel {

inline constexpr Index kPanelBlocks = 32;
inline constexpr Index kPanelWords = 4 * kPanelBlocks;

// What the words of a stream are used for.
enum class Stream : std::uint32_t {
  steps,      // a word for each time step
  lengths,    // a block for each sequence
  sequences,  // the same, for all other choices of a sequence
  targets,    // a word for each target
  noise,      // a second word for each time step
};

struct Source {
  std::uint64_t key;
  Stream stream;
};

// Compiled once for each instruction set. `first` is the number of the first panel; the numbers
// written are those of panel `first` and its successors.
struct SampleKernels {
  const char* name;
  // The words [128] of one panel.
  void (*panel)(Source source, std::uint64_t first, std::uint32_t attempt, std::uint32_t* words);
  // Turns the words [128] of a panel into Gaussians [128] with mean 0.
  void (*normal)(const std::uint32_t* words, float deviation, float* values);
  // Gaussians [n] with mean 0.
  void (*normals)(Source source, std::uint64_t first, Index n, float deviation, float* values);
  // Pairs [n, 2]: a value uniform on [low, 1), with low 0 or -1, and 0. Values are multiples of
  // 2^-24 (1 - low).
  void (*pairs)(Source source, std::uint64_t first, Index n, bool symmetric, float* pairs);
  // Whole numbers [n] uniform on 0 to count - 1, with 1 <= count < 2^31. Words that would favour
  // some numbers are drawn again, with the next attempt.
  void (*below)(Source source, std::uint64_t first, Index n, std::uint32_t count,
                std::int32_t* values);
};

const std::vector<const SampleKernels*>& sample_kernels();

// A sample of N sequences. Their lengths are drawn first, then all the rest.
struct Sample {
  const SampleKernels& kernel;
  std::uint64_t key;
  const Index* offsets;  // [N + 1]: first step of each sequence; last: number of steps
  Index n;               // N

  Index steps() const { return offsets[n]; }
};

// offsets [n + 1] of lengths uniform on least to most.
void draw_lengths(const SampleKernels& kernel, std::uint64_t key, Index n, Index least, Index most,
                  Index* offsets);
// offsets [n + 1] of lengths least + k, with probability 0.1 * 0.9^k.
void draw_geometric_lengths(const SampleKernels& kernel, std::uint64_t key, Index n, Index least,
                            Index* offsets);

// Adding and multiplication. Every sequence has at least `length` steps.
struct Pairs {
  Index length;       // T: the second mark is on one of the first T / 2 pairs
  bool product;       // multiplication: values from 0 on, and neutral 1 in place of 0
  bool hide_value;    // a first pair whose value does not count shows the neutral value
  bool hide_marker;   // it keeps its marker -1
  bool skip_first;    // the second mark is not on the first pair
  bool second_counts; // the value of a first pair that the second mark hits counts
  float* inputs;      // [steps, 2]
  float* targets;     // [N]
};
void draw_pairs(const Sample& sample, const Pairs& pairs);

// Gaussians behind `informative` elements 1 or -1, the class. Every sequence has that many steps.
struct TwoClasses {
  Index informative;
  bool noisy;              // informative elements have noise too
  float deviation;         // of the noise
  float goals[2];          // target of the classes with elements 1 and -1
  float target_deviation;  // of the noise of targets
  float* inputs;           // [steps]
  float* targets;          // [N]
};
void draw_two_classes(const Sample& sample, const TwoClasses& task);

// Gaussians behind one step that shows the class: as 1 or -1 in the only channel, or as (1, 0, 0)
// or (0, 1, 0), with the noise in the third channel.
struct Latched {
  bool wide;  // three channels
  float deviation, goal;
  float* inputs;   // [steps, 1 or 3]
  float* targets;  // [N]: goal or -goal
};
void draw_latched(const Sample& sample, const Latched& task);

// Elements 1 and -1, with noise uniform on [-noise, noise), and `pause` steps of 0 at the end. The
// target is 1 if the number of elements 1 is odd, else 0. Every sequence is longer than `pause`.
struct Ones {
  Index pause;
  float noise;
  float* inputs;   // [steps]
  float* targets;  // [N]
};
void draw_ones(const Sample& sample, const Ones& task);

// Random symbols 0 to p - 2 between a first and an equal last symbol p - 1 or p, in sequences of
// p + 1 steps. From step `from` on, the target is the next symbol.
struct Lags {
  Index p;
  Index from;                // 0 to p - 1
  std::int32_t* inputs;      // [N, p + 1]
  std::int32_t* targets;     // [N, p - from]
  Index* target_steps;       // [N, p - from]
};
void draw_lags(const SampleKernels& kernel, std::uint64_t key, Index n, const Lags& lags);

// p + 1; then p + 2 or p + 3, which are classes 0 and 1; random symbols 0 to p - 1; and p. Every
// sequence has at least 3 steps.
struct LongLags {
  Index p;
  std::int32_t* inputs;   // [steps]
  std::int32_t* targets;  // [N]
};
void draw_long_lags(const Sample& sample, const LongLags& lags);

// 0; then random symbols 2 to 5 with `relevant` symbols 6 or 7 among them, which are the binary
// digits of the class; and 1.
struct Order {
  int relevant;           // 1 to 3
  Index places[3][2];     // first and last step at which each of them may be, from 1 on
  std::int32_t* inputs;   // [steps]
  std::int32_t* targets;  // [N]
};
void draw_order(const Sample& sample, const Order& order);

}  // namespace carrousel
