// Random signs, the same in every kernel: bits of SplitMix64 (Steele et al. 2014).
#pragma once

#include <cstdint>

namespace carrousel {

inline constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15u;

inline std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// Calls sign(i, positive) for each of the n signs of a step.
template <class Sign>
void draw_signs(std::uint64_t seed, std::uint64_t step, std::int64_t n, const Sign& sign) {
  const std::uint64_t words = static_cast<std::uint64_t>(n + 63) / 64;
  std::uint64_t bits = 0;
  for (std::int64_t i = 0; i < n; ++i, bits >>= 1) {
    if (i % 64 == 0)
      bits = mixed(seed + (step * words + static_cast<std::uint64_t>(i) / 64 + 1) * kGolden);
    sign(i, (bits & 1) != 0);
  }
}

}  // namespace carrousel
