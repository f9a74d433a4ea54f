// Arrays and numbers of drawn data from Python, checked before a pointer is used.
#pragma once

#include <cmath>
#include <string>

#include "bind/arrays.h"
#include "sample/sample.h"

void bind_strings(nanobind::module_& m);

namespace carrousel {

inline const SampleKernels& samples_of(const std::string& name) {
  for (const auto* kernels : sample_kernels())
    if (name.empty() || name == kernels->name) return *kernels;
  refuse("instruction set '", name, "' is not available on this processor");
}

inline void expect_number(const char* name, Index value, Index least, Index most) {
  if (value < least || value > most)
    refuse(name, " is ", value, ", expected ", least, "..", most);
}

inline float expect_finite(const char* name, double value, bool negative = false) {
  const auto narrow = static_cast<float>(value);
  if (!std::isfinite(narrow) || (!negative && value < 0))
    refuse(name, " is ", value, ", expected a finite number", negative ? "" : " of at least 0");
  return narrow;
}

inline constexpr Index kMostSymbols = Index{1} << 24;
inline constexpr Index kMostSteps = Index{1} << 40;  // of all sequences of a sample, before they exist

// The first axis of an array of type T, or a refusal.
template <class T>
Index length_of(nb::handle array, const char* name) {
  Array<T> found;
  if (!nb::try_cast<Array<T>>(array, found, false) || found.ndim() != 1 || found.shape(0) < 1)
    refuse_array(name, "has the wrong type or layout: expected a contiguous array with one axis "
                       "and at least one entry");
  return static_cast<Index>(found.shape(0));
}

// The arrays of one call, and its sample once `offsets` is taken.
class Call : public Arrays {
 public:
  Call(std::uint64_t key, const std::string& instruction_set)
      : kernel(samples_of(instruction_set)), key(key) {}

  // offsets [N + 1] of sequences that have at least `least` steps.
  Sample sample(nb::handle array, Index least) {
    const Index n = length_of<const Index>(array, "offsets") - 1;
    if (n < 1) refuse("offsets has 1 entry, expected one more than there are sequences");
    const Index* const offsets = take<const Index>(array, "offsets", {n + 1}, false);
    if (offsets[0] != 0) refuse("offsets[0] is ", offsets[0], ", expected 0");
    for (Index i = 0; i < n; ++i)
      if (offsets[i + 1] > kMostSteps || offsets[i + 1] < offsets[i] ||
          offsets[i + 1] - offsets[i] < least)
        refuse("sequence ", i, " runs from step ", offsets[i], " to ", offsets[i + 1],
               ", expected at least ", least, " steps and at most 2^40 in all");
    return {kernel, key, offsets, n};
  }

  const SampleKernels& kernel;
  std::uint64_t key;
};

}  // namespace carrousel
