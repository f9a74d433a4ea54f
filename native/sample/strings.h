// Strings of a fixed set, and the automaton of their grammar. Arrays are as in sample.h.
#pragma once

#include "sample/sample.h"

namespace carrousel {

// Numbers [n] uniform on 0 to count - 1, with 1 <= count < 2^31.
void draw_picks(const SampleKernels& kernel, std::uint64_t key, Index n, Index count,
                Index* picks);

// A fixed set of strings.
struct Strings {
  Index n;
  const Index* offsets;         // [n + 1]
  const std::int32_t* symbols;  // [steps of the set]
};
// Copies of the strings picks [N], whose lengths are those of the sample. The target of every step
// but the last is the next symbol: targets and target_steps are [steps - N].
void copy_strings(const Strings& strings, const Index* picks, const Sample& sample,
                  std::int32_t* inputs, std::int32_t* targets, Index* target_steps);

// The state after a state and a symbol, or -1 if the symbol is not legal; state 0 is the first.
struct Automaton {
  Index states, symbols;
  const std::int32_t* after;  // [states, symbols]
};

// Writes the state after each step [steps]. Returns the first step whose symbol is not legal, else
// the number of steps. All symbols are in the alphabet.
Index walk(const Automaton& automaton, const Strings& strings, Index* states);

// Writes for each string [N] whether, at all of its targets, the outputs [M, symbols] of all legal
// next symbols are larger than those of all others. Returns what walk() returns.
template <class Real>
Index judge(const Automaton& automaton, const Strings& strings, const Index* target_steps,
            const Index* target_offsets, const Real* outputs, bool* right);

}  // namespace carrousel
