// Products of one panel whose weights are stored in fewer bits. Halves become floats; sums are
// float32. Factors of int8 are rounded to int8 as well, row by row; sums are exact integers.
#pragma once

#include <limits>

#include "sequence/packed.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// A vector of floats of row k + j from a panel of halves, from a column on; k is even.
struct PairedBfloat16 {
  template <int j>
  static vec row(const char* panel, Index k, int columns, int column) {
    ivec words;
    std::memcpy(&words, panel + ((k / 2 + j / 2) * columns + column) * 4, sizeof words);
    return (vec)(j % 2 ? words & isplat(static_cast<std::int32_t>(0xffff0000u)) : words << 16);
  }
};

struct Float16 {
  template <int j>
  static vec row(const char* panel, Index k, int columns, int column) {
    const char* const at = panel + ((k + j) * columns + column) * 2;
#if CARROUSEL_ISA_AVX512
    return (vec)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
#elif CARROUSEL_ISA_AVX2
    return (vec)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
#else
    // The exponent moves to its place and gets the other bias by a product, which is exact.
    typedef std::uint16_t halves __attribute__((vector_size(2 * V)));
    halves bits;
    std::memcpy(&bits, at, sizeof bits);
    const ivec wide = __builtin_convertvector(bits, ivec);
    const vec size = (vec)((wide & 0x7fff) << 13) * 0x1p112f;
    const vec whole = size < splat(65536.0f) ? size : size * splat(0x1p112f) * splat(0x1p112f);
    return (vec)((ivec)whole | (wide & 0x8000) << 16);
#endif
  }
};

// c = start + a w, as tile() of product.h.
template <class Half, int rows, int vectors>
void half_tile(Index depth, const float* a, Index a_stride, const char* panel, const float* start,
               float* c, Index c_stride) {
  constexpr int chains = rows == 1 ? 4 : 1;  // independent sums hide the latency of an addition
  constexpr Index most = 256 * chains;       // terms of one sum, as in tile()
  Index k = 0;
  do {
    const Index end = std::min(depth, k + most);
    const bool first = k == 0;
    vec sums[chains][rows][vectors];
    for (int v = 0; v < vectors; ++v) {
      const vec from = first && start ? load(start + v * V) : vec{};
      for (int r = 0; r < rows; ++r)
        for (int i = 0; i < chains; ++i) sums[i][r][v] = i ? vec{} : from;
    }
    const auto add = [&](auto j) {
      vec w[vectors];
      for (int v = 0; v < vectors; ++v)
        w[v] = Half::template row<j()>(panel, k, vectors * V, v * V);
      for (int r = 0; r < rows; ++r) {
        const vec factor = splat(a[r * a_stride + k + j]);
        for (int v = 0; v < vectors; ++v) sums[j % chains][r][v] += factor * w[v];
      }
    };
    constexpr std::integral_constant<int, 0> first_row;
    constexpr std::integral_constant<int, 1> second;
    constexpr std::integral_constant<int, 2> third;
    constexpr std::integral_constant<int, 3> fourth;
    for (; k + 4 <= end; k += 4) add(first_row), add(second), add(third), add(fourth);
    for (; k + 2 <= end; k += 2) add(first_row), add(second);
    if (k < end) add(first_row), ++k;
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v) {
        float* const to = c + r * c_stride + v * V;
        vec sum = sums[0][r][v];
        for (int i = 1; i < chains; ++i) sum += sums[i][r][v];
        store(to, first ? sum : load(to) + sum);
      }
  } while (k < depth);
}

// --- int8 --------------------------------------------------------------------------------------

// Rows of factors, rounded to int8: data [rows, stride] plus kShift, and the scale of each row.
struct NarrowRows {
  const char* data;
  const float* scales;
  Index stride;

  NarrowRows from(Index row) const { return {data + row * stride, scales + row, stride}; }
};

inline Index narrow_stride(Index depth) { return (depth + 63) / 64 * 64; }

// Floats that narrow_rows() needs for its result.
inline Index narrow_size(Index rows, Index depth) {
  return rows * narrow_stride(depth) / 4 + (rows + 15) / 16 * 16;
}

// Rounds each row a [depth] to multiples of its largest number / 127. A row with a number that is
// not finite gets the scale NaN.
inline NarrowRows narrow_rows(Index rows, Index depth, const float* a, Index a_stride,
                              float* room) {
  typedef std::int8_t bytes __attribute__((vector_size(V)));
  const Index stride = narrow_stride(depth);
  char* const data = reinterpret_cast<char*>(room);
  float* const scales = room + rows * stride / 4;
  for (Index r = 0; r < rows; ++r) {
    const float* const row = a + r * a_stride;
    vec top{};
    Index k = 0;
    for (; k + V <= depth; k += V) top = larger(top, absolute(load(row + k)));
    if (k < depth) top = larger(top, absolute(load(row + k, static_cast<int>(depth - k))));
    float most = top[0];
    for (int i = 1; i < V; ++i) most = larger(most, top[i]);
    const bool finite = most <= std::numeric_limits<float>::max();
    scales[r] = finite ? most / 127.0f : std::numeric_limits<float>::quiet_NaN();
    // Numbers so small that 127 / most is infinite count as zero.
    const float to = finite && most > 1e-36f ? 127.0f / most : 0.0f;
    if (to == 0.0f && finite) scales[r] = 0.0f;
    for (k = 0; k < stride; k += V) {
      const int n = static_cast<int>(std::min<Index>(V, depth - k));
      vec x = n > 0 ? load(row + k, n) * to : vec{};
      if (to == 0.0f) x = vec{};
      const ivec whole = __builtin_convertvector(nearest(x), ivec) + kShift;
      const bytes small = __builtin_convertvector(whole, bytes);
      std::memcpy(data + r * stride + k, &small, sizeof small);
    }
  }
  return {data, scales, stride};
}

#if CARROUSEL_ISA_AVX512
inline bool has_vnni() {
  static const bool found = __builtin_cpu_supports("avx512vnni");
  return found;
}
#endif

// sum + the products of the four bytes of each word of a and w.
struct Dot {
  static ivec add(ivec sum, ivec a, ivec w) {
#if CARROUSEL_ISA_AVX512
    // Of factors 0..255: pairs of 16 bits, because sums of two products do not fit into 16 bits.
    const __m512i even = _mm512_and_si512((__m512i)a, _mm512_set1_epi16(255));
    const __m512i odd = _mm512_srli_epi16((__m512i)a, 8);
    const __m512i w_even = _mm512_srai_epi16(_mm512_slli_epi16((__m512i)w, 8), 8);
    const __m512i w_odd = _mm512_srai_epi16((__m512i)w, 8);
    return sum + (ivec)_mm512_madd_epi16(even, w_even) + (ivec)_mm512_madd_epi16(odd, w_odd);
#elif CARROUSEL_ISA_AVX2
    // Sums of two products are at most 2 * 127 * 127, which fits into 16 bits.
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)a),
                                               _mm256_sign_epi8((__m256i)w, (__m256i)a));
    return sum + (ivec)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
#else
    for (int j = 0; j < 4; ++j)
      sum += ((a << (24 - 8 * j)) >> 24) * ((w << (24 - 8 * j)) >> 24);
    return sum;
#endif
  }
};

#if CARROUSEL_ISA_AVX512
struct DotVnni {
  // As assembly, so that only processors with the instruction need to be compiled for.
  static ivec add(ivec sum, ivec a, ivec w) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(w));
    return sum;
  }
};
#endif

template <class Dot, int rows, int vectors>
void narrow_tile_by(const Packed<float>& w, const NarrowRows& a, Index first, const char* panel,
                    Index at, const float* start, float* c, Index c_stride) {
  constexpr int chains = rows == 1 ? 2 : 1;
  ivec sums[chains][rows][vectors];
  for (int v = 0; v < vectors; ++v) {
    ivec offset;
    std::memcpy(&offset, w.offsets() + at + v * V, sizeof offset);
    for (int r = 0; r < rows; ++r) {
      sums[0][r][v] = offset;
      if (chains == 2) sums[chains - 1][r][v] = ivec{};
    }
  }
  const Index groups = (w.depth + 3) / 4;
  const auto add = [&](Index k, int chain) {
    ivec words[vectors];
    for (int v = 0; v < vectors; ++v)
      std::memcpy(&words[v], panel + (k * vectors + v) * 4 * V, sizeof words[v]);
    for (int r = 0; r < rows; ++r) {
      std::int32_t four;
      std::memcpy(&four, a.data + (first + r) * a.stride + k * 4, sizeof four);
      const ivec factor = isplat(four);
      for (int v = 0; v < vectors; ++v)
        sums[chain][r][v] = Dot::add(sums[chain][r][v], factor, words[v]);
    }
  };
  Index k = 0;
  for (; k + chains <= groups; k += chains)
    for (int chain = 0; chain < chains; ++chain) add(k + chain, chain);
  if (k < groups) add(k, 0);
  for (int v = 0; v < vectors; ++v) {
    const vec scale = load(w.scales() + at + v * V);
    const vec from = start ? load(start + v * V) : vec{};
    for (int r = 0; r < rows; ++r) {
      const ivec sum = chains == 2 ? sums[0][r][v] + sums[chains - 1][r][v] : sums[0][r][v];
      const vec y = scale * a.scales[first + r] * __builtin_convertvector(sum, vec);
      store(c + r * c_stride + v * V, from + y);
    }
  }
}

// c [rows] = start + a w, for rows of a from `first` on and the columns of a panel from `at` on.
template <int rows, int vectors>
void narrow_tile(const Packed<float>& w, const NarrowRows& a, Index first, const char* panel,
                 Index at, const float* start, float* c, Index c_stride) {
#if CARROUSEL_ISA_AVX512
  if (has_vnni())
    return narrow_tile_by<DotVnni, rows, vectors>(w, a, first, panel, at, start, c, c_stride);
#endif
  narrow_tile_by<Dot, rows, vectors>(w, a, first, panel, at, start, c, c_stride);
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
