// Numbers by sixteen: as many vectors of an instruction set as hold them.
#pragma once

#include "common/pointwise.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr Index kWide = 16;
constexpr int kParts = kWide / V;

// n, rounded up to a multiple of kWide.
inline Index padded(Index n) { return (n + kWide - 1) / kWide * kWide; }

inline vec& at(float* x) { return *reinterpret_cast<vec*>(x); }
inline const vec& at(const float* x) { return *reinterpret_cast<const vec*>(x); }

// The numbers 0, 1, 2 ...
inline ivec counted() {
  ivec n;
  for (int i = 0; i < V; ++i) n[i] = i;
  return n;
}

// The sum of sixteen numbers. The order is the same for every instruction set.
inline float sum_of(const vec x[kParts]) {
#if CARROUSEL_ISA_AVX512 || CARROUSEL_ISA_AVX2
#if CARROUSEL_ISA_AVX512
  const __m256 by_8 = _mm256_add_ps(_mm512_castps512_ps256((__m512)x[0]),
                                    _mm512_extractf32x8_ps((__m512)x[0], 1));
#else
  const __m256 by_8 = _mm256_add_ps((__m256)x[0], (__m256)x[1]);
#endif
  const quad by_4 = (quad)_mm_add_ps(_mm256_castps256_ps128(by_8), _mm256_extractf128_ps(by_8, 1));
#else
  const quad by_4 = (x[0] + x[2]) + (x[1] + x[3]);
#endif
  return (by_4[0] + by_4[2]) + (by_4[1] + by_4[3]);
}

// The largest of sixteen numbers; NaN if one is NaN.
inline float largest_of(const vec x[kParts]) {
  float most = 0.0f;
  for (int p = 0; p < kParts; ++p)
    for (int i = 0; i < V; ++i) most = larger(most, x[p][i]);
  return most;
}

// Whether all of sixteen numbers are below a limit; NaN is not.
inline bool all_below(const vec x[kParts], float limit) {
#if CARROUSEL_ISA_AVX512
  return _mm512_cmp_ps_mask((__m512)x[0], _mm512_set1_ps(limit), _CMP_LT_OQ) == 0xffff;
#elif CARROUSEL_ISA_AVX2
  const __m256 most = _mm256_set1_ps(limit);
  const __m256 both = _mm256_and_ps(_mm256_cmp_ps((__m256)x[0], most, _CMP_LT_OQ),
                                    _mm256_cmp_ps((__m256)x[1], most, _CMP_LT_OQ));
  return _mm256_movemask_ps(both) == 0xff;
#else
  const vec most = splat(limit);
  const ivec below = (x[0] < most) & (x[1] < most) & (x[2] < most) & (x[3] < most);
  return (below[0] & below[1] & below[2] & below[3]) != 0;
#endif
}

// Writes to out [padded(count)] the sum over i < width of row_j[i] by[i] for each row j < count,
// and zeros behind. Rows are `width` numbers long, a multiple of kWide.
inline void products(const float* rows, Index width, Index count, const float* by, float* out) {
  const ivec place = counted();
  for (Index first = 0; first < count; first += V) {
    vec sums = splat(0.0f);
    const Index left = count - first < V ? count - first : V;
    for (Index j = 0; j < left; ++j, rows += width) {
      vec sum[kParts] = {};
      for (Index i = 0; i < width; i += kWide)
        for (int p = 0; p < kParts; ++p)
          sum[p] = fma(at(rows + i + p * V), at(by + i + p * V), sum[p]);
      sums = place == isplat(static_cast<std::int32_t>(j)) ? splat(sum_of(sum)) : sums;
    }
    at(out + first) = sums;
  }
  for (Index i = (count + V - 1) / V * V; i < padded(count); i += V) at(out + i) = splat(0.0f);
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
