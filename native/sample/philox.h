// Philox 4x32-10 for a whole panel at once.
#pragma once

#include <cstring>

#include "common/simd.h"
#include "sample/sample.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace carrousel::CARROUSEL_ISA {
namespace {

// Words in lanes of 64 bits. The upper half of a lane may hold anything.
typedef std::uint64_t wide __attribute__((vector_size(4 * V), aligned(4 * V), may_alias));
typedef std::uint32_t half __attribute__((vector_size(2 * V), aligned(2 * V), may_alias));

constexpr int kWide = V / 2;                       // lanes of a wide
constexpr int kGroups = kPanelBlocks / kWide;      // wides of one output of a panel

inline wide wide_splat(std::uint64_t x) { return x - wide{}; }

// Products of the lower halves.
inline wide product(wide a, wide b) {
#if CARROUSEL_ISA_AVX512
  return (wide)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif CARROUSEL_ISA_AVX2
  return (wide)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
  return (wide)_mm_mul_epu32((__m128i)a, (__m128i)b);
#elif defined(__ARM_NEON)
  return (wide)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#else
  return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

inline void store_lower(wide x, void* to) {
  const half lower = __builtin_convertvector(x, half);
  std::memcpy(to, &lower, sizeof lower);
}

inline wide load_words(const std::uint32_t* from) {
  half words;
  std::memcpy(&words, from, sizeof words);
  return __builtin_convertvector(words, wide);
}

class Philox {
 public:
  explicit Philox(Source source) : stream_(static_cast<std::uint32_t>(source.stream)) {
    auto even = static_cast<std::uint32_t>(source.key);
    auto odd = static_cast<std::uint32_t>(source.key >> 32);
    for (int round = 0; round < kRounds; ++round) {
      even_[round] = even, odd_[round] = odd;
      even += 0x9E3779B9u, odd += 0xBB67AE85u;
    }
  }

  void panel(std::uint64_t number, std::uint32_t attempt, std::uint32_t* words) const {
    wide a[kGroups], b[kGroups], c[kGroups], d[kGroups];
    wide lanes = wide_splat(number * kPanelBlocks);
    for (int i = 0; i < kWide; ++i) lanes[i] += i;
#pragma GCC unroll 16
    for (int g = 0; g < kGroups; ++g) {
      a[g] = lanes + static_cast<std::uint64_t>(g * kWide), b[g] = a[g] >> 32;
      c[g] = wide_splat(stream_), d[g] = wide_splat(attempt);
    }
    const wide by_a = wide_splat(0xD2511F53u), by_c = wide_splat(0xCD9E8D57u);
#pragma GCC unroll 16
    for (int round = 0; round < kRounds; ++round) {
      const wide even = wide_splat(even_[round]), odd = wide_splat(odd_[round]);
#pragma GCC unroll 16
      for (int g = 0; g < kGroups; ++g) {
        const wide p = product(a[g], by_a), q = product(c[g], by_c);
        a[g] = (q >> 32) ^ b[g] ^ even, b[g] = q;
        c[g] = (p >> 32) ^ d[g] ^ odd, d[g] = p;
      }
    }
#pragma GCC unroll 16
    for (int g = 0; g < kGroups; ++g) {
      store_lower(a[g], words + g * kWide);
      store_lower(b[g], words + kPanelBlocks + g * kWide);
      store_lower(c[g], words + 2 * kPanelBlocks + g * kWide);
      store_lower(d[g], words + 3 * kPanelBlocks + g * kWide);
    }
  }

 private:
  static constexpr int kRounds = 10;
  std::uint32_t stream_;
  std::uint64_t even_[kRounds], odd_[kRounds];
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
