// Packed weights [depth, width]: panels of up to kPanel vectors of columns. A panel holds its columns
// of each row of the matrix, padded with zeros to whole vectors.
//
// A panel of bfloat16 holds pairs of rows: the bits of the second row are the upper half of a word,
// and those of the first the lower half, so that a shift or a mask makes floats. A panel of int8
// holds groups of four rows in one word. The last group is padded with zeros. Behind the panels of
// int8 are the scale and the offset of each column: the sum from which its products start.
#pragma once

#include <algorithm>

#include "sequence/vector.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

#if CARROUSEL_ISA_AVX512
constexpr int kPanel = 4;    // vectors of a panel
constexpr int kTile = 24;    // accumulators of a tile: rows times vectors
#else
constexpr int kPanel = 2;
constexpr int kTile = 12;
#endif

#if CARROUSEL_ISA_AVX512
constexpr int kShift = 128;  // added to int8 factors, for an instruction that takes them unsigned
#else
constexpr int kShift = 0;
#endif

template <class Real>
struct Packed {
  const Real* data;
  Index depth, width;
  Storage storage = Storage::real;

  static Index vectors(Index width) { return (width + kLanes<Real> - 1) / kLanes<Real>; }
  Index stride() const { return vectors(width) * kLanes<Real>; }  // width, padded
  // Bytes of one column of a panel.
  Index column_bytes() const {
    switch (storage) {
      case Storage::real: break;
      case Storage::bfloat16: return (depth + 1) / 2 * 4;
      case Storage::float16: return depth * 2;
      case Storage::int8: return (depth + 3) / 4 * 4;
    }
    return depth * Index{sizeof(Real)};
  }
  // In numbers of Real.
  std::size_t size() const {
    const Index bytes = stride() * (column_bytes() + (storage == Storage::int8 ? 8 : 0));
    return (static_cast<std::size_t>(bytes) + sizeof(Real) - 1) / sizeof(Real);
  }
  const char* panel(Index first) const {  // of the panel whose first column this is
    return reinterpret_cast<const char*>(data) + first * column_bytes();
  }
  const float* scales() const { return reinterpret_cast<const float*>(panel(stride())); }
  const std::int32_t* offsets() const {
    return reinterpret_cast<const std::int32_t*>(scales() + stride());
  }
};

template <class Real>
Index panel_count(const Packed<Real>& w) {
  return (Packed<Real>::vectors(w.width) + kPanel - 1) / kPanel;
}

// Packs rows k..end-1 of one panel from `given` rows of w [width, depth], the transposed matrix.
template <class Real>
void pack_turned(Real* panel, Index columns, Index given, const Real* w, Index depth, Index k,
                 Index end) {
  Index i = 0;
  if constexpr (std::is_same_v<Real, float>)
    for (; i + V <= given && end - k >= 4; i += V) {
      Index row = k;
      for (; row + 4 <= end; row += 4) {
        const float* lanes[V];
        vec column[4];
        for (int lane = 0; lane < V; ++lane) lanes[lane] = w + (i + lane) * depth + row;
        columns_from(lanes, column);
        for (int j = 0; j < 4; ++j) store(panel + (row + j) * columns + i, column[j]);
      }
      for (; row < end; ++row)
        for (int lane = 0; lane < V; ++lane)
          panel[row * columns + i + lane] = w[(i + lane) * depth + row];
    }
  for (; i < given; ++i)
    for (Index row = k; row < end; ++row) panel[row * columns + i] = w[i * depth + row];
}

// Packs panels from..to-1 of w [depth, width]; if `turned`, of the transpose of w [width, depth].
template <class Real>
void pack(Real* into, Index depth, Index width, const Real* w, bool turned, Index from, Index to) {
  constexpr Index lanes = kLanes<Real>, block = 128;  // rows whose panel fits into the L1 cache
  const Index vectors = Packed<Real>::vectors(width);
  for (Index first = from * kPanel; first < std::min(vectors, to * kPanel); first += kPanel) {
    Real* const panel = into + depth * first * lanes;
    const Index columns = std::min<Index>(kPanel, vectors - first) * lanes;
    const Index given = std::min(columns, width - first * lanes);
    for (Index k = 0; k < depth; k += block) {
      const Index end = std::min(depth, k + block);
      if (turned) pack_turned(panel, columns, given, w + first * lanes * depth, depth, k, end);
      for (Index row = k; row < end; ++row) {
        if (!turned) std::copy_n(w + row * width + first * lanes, given, panel + row * columns);
        std::fill(panel + row * columns + given, panel + (row + 1) * columns, Real{0});
      }
    }
  }
}

// Packs columns of w [width, depth], the transposed matrix, into one panel: words of `group` numbers
// that follow one another in a row of w. The last word may be filled with zeros.
template <int group, class Number>
void pack_words(Number* panel, Index columns, Index given, const Number* w, Index depth) {
  constexpr Index block = 128;  // words of a column whose panel fits into the L1 cache
  const Index words = depth / group;
  if (sizeof(Number) * group == 4 && depth % group == 0 &&
      reinterpret_cast<std::uintptr_t>(w) % 4 == 0) {
    float* const to = reinterpret_cast<float*>(panel);
    for (Index k = 0; k < words; k += block)
      pack_turned(to, columns, given, reinterpret_cast<const float*>(w), words, k,
                  std::min(words, k + block));
    for (Index k = 0; k < words; ++k)
      std::fill(to + k * columns + given, to + (k + 1) * columns, 0.0f);
    return;
  }
  std::fill_n(panel, columns * group * ((depth + group - 1) / group), Number{0});
  for (Index from = 0; from < depth; from += block)
    for (Index i = 0; i < given; ++i)
      for (Index k = from; k < std::min(depth, from + block); ++k)
        panel[(k / group * columns + i) * group + k % group] = w[i * depth + k];
}

// Packs panels from..to-1 of w [width, depth], of the type of into.storage, and its scales [width].
template <class Real>
void pack_stored(const Packed<Real>& into, const void* w, const float* scales, Index from,
                 Index to) {
  constexpr Index lanes = kLanes<Real>;
  const Index depth = into.depth;
  for (Index p = from; p < to; ++p) {
    const Index first = p * kPanel * lanes;
    const Index columns = std::min<Index>(kPanel * lanes, into.stride() - first);
    const Index given = std::min(columns, into.width - first);
    char* const panel = const_cast<char*>(into.panel(first));
    if (into.storage != Storage::int8) {
      const auto* const halves = static_cast<const std::uint16_t*>(w) + first * depth;
      auto* const to_halves = reinterpret_cast<std::uint16_t*>(panel);
      if (into.storage == Storage::bfloat16)
        pack_words<2>(to_halves, columns, given, halves, depth);
      else pack_words<1>(to_halves, columns, given, halves, depth);
      continue;
    }
    const auto* const bytes = static_cast<const std::int8_t*>(w) + first * depth;
    pack_words<4>(reinterpret_cast<std::int8_t*>(panel), columns, given, bytes, depth);
    float* const scale = const_cast<float*>(into.scales()) + first;
    std::fill_n(scale, columns, 0.0f), std::copy_n(scales + first, given, scale);
    std::int32_t* const offset = const_cast<std::int32_t*>(into.offsets()) + first;
    std::fill_n(offset, columns, 0);
    for (Index i = 0; i < given; ++i) {
      std::int32_t sum = 0;
      for (Index k = 0; k < depth; ++k) sum += bytes[i * depth + k];
      offset[i] = -kShift * sum;
    }
  }
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
