// Lengths of sequences.
#include <algorithm>
#include <array>

#include "sample/numbers.h"

namespace carrousel {

void draw_lengths(const SampleKernels& kernel, std::uint64_t key, Index n, Index least, Index most,
                  Index* offsets) {
  Numbers numbers(kernel, key, Stream::lengths);
  offsets[0] = 0;
  for (Index i = 0; i < n; ++i)
    offsets[i + 1] = offsets[i] + least + numbers.below(i, 0, most - least + 1);
}

namespace {

constexpr Index kLongest = 64;

// 2^64 times the probabilities 0.9^1 to 0.9^64, rounded down.
constexpr std::array<std::uint64_t, kLongest> kTails = [] {
  std::array<std::uint64_t, kLongest> tails{};
  std::uint64_t tail = ~std::uint64_t{0};
  for (auto& t : tails) t = tail = tail / 10 * 9 + tail % 10 * 9 / 10;
  return tails;
}();

// A number k with probability 0.1 * 0.9^k. The law has no memory, so k = 64 means at least 64, and
// the next attempt says how many more.
Index geometric(Numbers& numbers, Index sequence) {
  Index k = 0;
  for (std::uint32_t attempt = 0;; ++attempt) {
    const std::uint64_t word = std::uint64_t{numbers.word(sequence, 0, attempt)} << 32 |
                               numbers.word(sequence, 1, attempt);
    const Index here = std::count_if(kTails.begin(), kTails.end(),
                                     [word](std::uint64_t tail) { return word < tail; });
    k += here;
    if (here < kLongest) return k;
  }
}

}  // namespace

void draw_geometric_lengths(const SampleKernels& kernel, std::uint64_t key, Index n, Index least,
                            Index* offsets) {
  Numbers numbers(kernel, key, Stream::lengths);
  offsets[0] = 0;
  for (Index i = 0; i < n; ++i) offsets[i + 1] = offsets[i] + least + geometric(numbers, i);
}

}  // namespace carrousel
