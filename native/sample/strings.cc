// Strings of a fixed set, and the automaton of their grammar.
#include <algorithm>
#include <limits>

#include "sample/strings.h"

namespace carrousel {

void draw_picks(const SampleKernels& kernel, std::uint64_t key, Index n, Index count,
                Index* picks) {
  constexpr Index kPart = 16 * kPanelWords;
  std::int32_t part[kPart];
  for (Index start = 0; start < n; start += kPart) {
    const Index here = std::min(kPart, n - start);
    kernel.below({key, Stream::sequences}, static_cast<std::uint64_t>(start / kPanelWords), here,
                 static_cast<std::uint32_t>(count), part);
    std::copy_n(part, here, picks + start);
  }
}

void copy_strings(const Strings& strings, const Index* picks, const Sample& sample,
                  std::int32_t* inputs, std::int32_t* targets, Index* target_steps) {
  for (Index i = 0; i < sample.n; ++i) {
    const std::int32_t* const from = strings.symbols + strings.offsets[picks[i]];
    const Index start = sample.offsets[i], length = sample.offsets[i + 1] - start;
    std::copy_n(from, length, inputs + start);
    std::copy_n(from + 1, length - 1, targets + start - i);
    for (Index t = 0; t < length - 1; ++t) target_steps[start - i + t] = start + t;
  }
}

Index walk(const Automaton& automaton, const Strings& strings, Index* states) {
  for (Index i = 0; i < strings.n; ++i) {
    Index state = 0;
    for (Index t = strings.offsets[i]; t < strings.offsets[i + 1]; ++t) {
      state = automaton.after[state * automaton.symbols + strings.symbols[t]];
      if (state < 0) return t;
      states[t] = state;
    }
  }
  return strings.offsets[strings.n];
}

namespace {

// Whether every output of a legal symbol is larger than those of all others; false for NaN.
template <class Real>
bool ranked(const Automaton& automaton, Index state, const Real* outputs) {
  const std::int32_t* const after = automaton.after + state * automaton.symbols;
  Real least = std::numeric_limits<Real>::infinity(), most = -least;
  bool numbers = true;
  for (Index k = 0; k < automaton.symbols; ++k) {
    numbers &= outputs[k] == outputs[k];
    if (after[k] >= 0) least = std::min(least, outputs[k]);
    else most = std::max(most, outputs[k]);
  }
  return numbers && least > most;
}

}  // namespace

template <class Real>
Index judge(const Automaton& automaton, const Strings& strings, const Index* target_steps,
            const Index* target_offsets, const Real* outputs, bool* right) {
  for (Index i = 0; i < strings.n; ++i) {
    Index state = 0, m = target_offsets[i];
    right[i] = true;
    for (Index t = strings.offsets[i]; t < strings.offsets[i + 1]; ++t) {
      state = automaton.after[state * automaton.symbols + strings.symbols[t]];
      if (state < 0) return t;
      if (m < target_offsets[i + 1] && target_steps[m] == t) {
        right[i] &= ranked(automaton, state, outputs + m * automaton.symbols);
        ++m;
      }
    }
  }
  return strings.offsets[strings.n];
}

template Index judge(const Automaton&, const Strings&, const Index*, const Index*, const float*,
                     bool*);
template Index judge(const Automaton&, const Strings&, const Index*, const Index*, const double*,
                     bool*);

}  // namespace carrousel
