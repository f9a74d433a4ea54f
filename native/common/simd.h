// The vector type of each instruction set, and operations on it besides + - * /.
#pragma once

#include <cstdint>

#if CARROUSEL_ISA_AVX512 || CARROUSEL_ISA_AVX2
#include <immintrin.h>
#elif CARROUSEL_ISA_NEON
#include <arm_neon.h>
#endif

namespace carrousel::CARROUSEL_ISA {
namespace {

#if CARROUSEL_ISA_AVX512
constexpr int V = 16;
constexpr int kAccumulators = 24;  // vectors that one loop can keep in registers
#elif CARROUSEL_ISA_AVX2
constexpr int V = 8;
constexpr int kAccumulators = 8;
#else
constexpr int V = 4;
constexpr int kAccumulators = 8;
#endif

typedef float vec __attribute__((vector_size(4 * V), aligned(4 * V), may_alias));
typedef std::int32_t ivec __attribute__((vector_size(4 * V), aligned(4 * V), may_alias));
typedef float quad __attribute__((vector_size(16), aligned(16), may_alias));

inline vec splat(float x) { return x - vec{}; }
inline ivec isplat(std::int32_t x) { return x - ivec{}; }

// a b + c, rounded once. Where the instruction set has no such operation, which is plain C++ alone,
// rounded twice. Lanes call it wherever they want it, and are compiled without contraction, so that
// their results do not depend on the compiler, nor on the instruction set (but for plain).
#if CARROUSEL_ISA_AVX512 || CARROUSEL_ISA_AVX2 || CARROUSEL_ISA_NEON
constexpr bool kFused = true;
inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
constexpr bool kFused = false;
inline float fma(float a, float b, float c) { return a * b + c; }
#endif

inline quad fma(quad a, quad b, quad c) {
#if CARROUSEL_ISA_AVX512 || CARROUSEL_ISA_AVX2
  return (quad)_mm_fmadd_ps((__m128)a, (__m128)b, (__m128)c);
#elif CARROUSEL_ISA_NEON
  return (quad)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

#if CARROUSEL_ISA_AVX512
inline vec fma(vec a, vec b, vec c) {
  return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#elif CARROUSEL_ISA_AVX2
inline vec fma(vec a, vec b, vec c) {
  return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#endif  // elsewhere a vec is a quad

// at_most() and at_least() return x if x is NaN, so that the outputs of a diverged lane are NaN.
inline vec at_most(float limit, vec x) {
#if CARROUSEL_ISA_AVX512
  return (vec)_mm512_min_ps(_mm512_set1_ps(limit), (__m512)x);
#elif CARROUSEL_ISA_AVX2
  return (vec)_mm256_min_ps(_mm256_set1_ps(limit), (__m256)x);
#else
  return splat(limit) < x ? splat(limit) : x;
#endif
}

inline vec at_least(float limit, vec x) {
#if CARROUSEL_ISA_AVX512
  return (vec)_mm512_max_ps(_mm512_set1_ps(limit), (__m512)x);
#elif CARROUSEL_ISA_AVX2
  return (vec)_mm256_max_ps(_mm256_set1_ps(limit), (__m256)x);
#else
  return splat(limit) > x ? splat(limit) : x;
#endif
}

// The larger number; NaN if either is NaN.
inline vec larger(vec a, vec b) { return ((a > b) | (a != a)) ? a : b; }
inline float larger(float a, float b) { return a > b || a != a ? a : b; }

// Adds `by` to x where the mask is set. Elsewhere x is unchanged, even if `by` is NaN.
inline void add_where(ivec mask, vec& x, vec by) { x = mask ? x + by : x; }
// The same for a product.
inline void add_where(ivec mask, vec& x, vec a, vec b) { x = mask ? fma(a, b, x) : x; }

inline vec absolute(vec x) { return (vec)((ivec)x & isplat(0x7fffffff)); }

// x rounded to the nearest whole number, for |x| < 2^22.
inline vec nearest(vec x) {
#if CARROUSEL_ISA_AVX512
  return (vec)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#elif CARROUSEL_ISA_AVX2
  return (vec)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  const vec magic = splat(12582912.0f);  // 1.5 * 2^23: the sum has no fraction bits left
  return (x + magic) - magic;
#endif
}

// a / b for b in [1, 1e38], with an error of about one unit in the last place.
inline vec over(vec a, vec b) {
#if CARROUSEL_ISA_AVX512
  const vec r = (vec)_mm512_rcp14_ps((__m512)b);
  const vec q = a * r;
  return q + r * (a - b * q);  // one Newton step on the quotient
#else
  return a / b;
#endif
}

// Square roots of numbers >= 0.
inline vec root(vec x) {
#if CARROUSEL_ISA_AVX512
  return (vec)_mm512_sqrt_ps((__m512)x);
#elif CARROUSEL_ISA_AVX2
  return (vec)_mm256_sqrt_ps((__m256)x);
#else
  for (int i = 0; i < V; ++i) x[i] = __builtin_sqrtf(x[i]);
  return x;
#endif
}

// One bit for each element of a mask.
inline unsigned bits(ivec mask) {
#if CARROUSEL_ISA_AVX512
  return _mm512_movepi32_mask((__m512i)mask);
#elif CARROUSEL_ISA_AVX2
  return static_cast<unsigned>(_mm256_movemask_ps((__m256)mask));
#else
  unsigned all = 0;
  for (int i = 0; i < V; ++i) all |= mask[i] ? 1u << i : 0;
  return all;
#endif
}
inline bool any(ivec mask) { return bits(mask) != 0; }

// Calls visit(lane) for every lane of a mask, in order.
template <class Visit>
inline void each_lane(ivec mask, Visit visit) {
  for (unsigned left = bits(mask); left; left &= left - 1) visit(__builtin_ctz(left));
}

inline std::int32_t least(ivec x) {
#if CARROUSEL_ISA_AVX512
  return _mm512_reduce_min_epi32((__m512i)x);
#else
  std::int32_t found = x[0];
  for (int i = 1; i < V; ++i) found = x[i] < found ? x[i] : found;
  return found;
#endif
}
inline std::int32_t most(ivec x) { return -least(-x); }

// The sum of all lanes.
inline float total(vec x) {
#if CARROUSEL_ISA_AVX512
  return _mm512_reduce_add_ps((__m512)x);
#else
  float sum = 0;
  for (int i = 0; i < V; ++i) sum += x[i];
  return sum;
#endif
}

// Transposes the 4 x 4 matrix with rows a, b, c, d in each group of four lanes.
inline void transpose_groups(vec& a, vec& b, vec& c, vec& d) {
#if CARROUSEL_ISA_AVX512
  const __m512 ab0 = _mm512_unpacklo_ps((__m512)a, (__m512)b);
  const __m512 ab1 = _mm512_unpackhi_ps((__m512)a, (__m512)b);
  const __m512 cd0 = _mm512_unpacklo_ps((__m512)c, (__m512)d);
  const __m512 cd1 = _mm512_unpackhi_ps((__m512)c, (__m512)d);
  a = (vec)_mm512_shuffle_ps(ab0, cd0, 0x44);
  b = (vec)_mm512_shuffle_ps(ab0, cd0, 0xee);
  c = (vec)_mm512_shuffle_ps(ab1, cd1, 0x44);
  d = (vec)_mm512_shuffle_ps(ab1, cd1, 0xee);
#elif CARROUSEL_ISA_AVX2
  const __m256 ab0 = _mm256_unpacklo_ps((__m256)a, (__m256)b);
  const __m256 ab1 = _mm256_unpackhi_ps((__m256)a, (__m256)b);
  const __m256 cd0 = _mm256_unpacklo_ps((__m256)c, (__m256)d);
  const __m256 cd1 = _mm256_unpackhi_ps((__m256)c, (__m256)d);
  a = (vec)_mm256_shuffle_ps(ab0, cd0, 0x44);
  b = (vec)_mm256_shuffle_ps(ab0, cd0, 0xee);
  c = (vec)_mm256_shuffle_ps(ab1, cd1, 0x44);
  d = (vec)_mm256_shuffle_ps(ab1, cd1, 0xee);
#else
  const vec rows[4] = {a, b, c, d};
  for (int i = 0; i < 4; ++i) {
    a[i] = rows[i][0];
    b[i] = rows[i][1];
    c[i] = rows[i][2];
    d[i] = rows[i][3];
  }
#endif
}

// The sums of V vectors, one in each lane. The vectors are overwritten.
inline vec totals(vec x[V]) {
  vec group[V / 4];  // sums of four vectors, within each group of four lanes
  for (int i = 0; i < V / 4; ++i) {
    vec* const four = x + 4 * i;
    transpose_groups(four[0], four[1], four[2], four[3]);
    group[i] = (four[0] + four[1]) + (four[2] + four[3]);
  }
#if CARROUSEL_ISA_AVX512
  const auto pair = [](vec a, vec b) {
    return (vec)_mm512_add_ps(_mm512_shuffle_f32x4((__m512)a, (__m512)b, 0x88),
                              _mm512_shuffle_f32x4((__m512)a, (__m512)b, 0xdd));
  };
  return pair(pair(group[0], group[1]), pair(group[2], group[3]));
#elif CARROUSEL_ISA_AVX2
  return (vec)_mm256_add_ps(_mm256_permute2f128_ps((__m256)group[0], (__m256)group[1], 0x20),
                            _mm256_permute2f128_ps((__m256)group[0], (__m256)group[1], 0x31));
#else
  return group[0];
#endif
}

// Loads four consecutive floats of each lane [V] into four columns [4].
inline void columns_from(const float* const lane[V], vec column[4]) {
  for (int i = 0; i < 4; ++i) {
#if CARROUSEL_ISA_AVX512
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(lane[i]));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(lane[4 + i]), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(lane[8 + i]), 2);
    column[i] = (vec)_mm512_insertf32x4(v, _mm_loadu_ps(lane[12 + i]), 3);
#elif CARROUSEL_ISA_AVX2
    const __m256 v = _mm256_castps128_ps256(_mm_loadu_ps(lane[i]));
    column[i] = (vec)_mm256_insertf128_ps(v, _mm_loadu_ps(lane[4 + i]), 1);
#else
    for (int j = 0; j < 4; ++j) column[i][j] = lane[i][j];
#endif
  }
  transpose_groups(column[0], column[1], column[2], column[3]);
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
