// The recurrent product: rows of the batch times a packed matrix.
//
// A packed matrix [depth, width] consists of panels of up to kPanel vectors of columns. A panel
// holds its columns of each row of the matrix, padded with zeros to whole vectors.
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

template <class Real>
struct Packed {
  const Real* data;
  Index depth, width;

  static Index vectors(Index width) { return (width + kLanes<Real> - 1) / kLanes<Real>; }
  Index stride() const { return vectors(width) * kLanes<Real>; }  // width, padded
  static std::size_t size(Index depth, Index width) {
    return static_cast<std::size_t>(depth * vectors(width) * kLanes<Real>);
  }
};

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

// c = start + a w for `rows` rows of a and one panel of `vectors` vectors; start null: zero.
template <class Real, int rows, int vectors>
void tile(Index depth, const Real* a, Index a_stride, const Real* panel, const Real* start,
          Real* c, Index c_stride) {
  constexpr int lanes = kLanes<Real>;
  Vec<Real> sums[rows][vectors];
  for (int v = 0; v < vectors; ++v) {
    const Vec<Real> from = start ? load(start + v * lanes) : Vec<Real>{};
    for (int r = 0; r < rows; ++r) sums[r][v] = from;
  }
  for (Index k = 0; k < depth; ++k) {
    Vec<Real> w[vectors];
    for (int v = 0; v < vectors; ++v) w[v] = load(panel + (k * vectors + v) * lanes);
    for (int r = 0; r < rows; ++r) {
      const Vec<Real> factor = all(a[r * a_stride + k]);
      for (int v = 0; v < vectors; ++v) sums[r][v] += factor * w[v];
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) store(c + r * c_stride + v * lanes, sums[r][v]);
}

// The product of a single row. Four independent sums per vector hide the latency of an addition.
template <class Real, int vectors>
void tile_of_one(Index depth, const Real* a, const Real* panel, const Real* start, Real* c) {
  constexpr int lanes = kLanes<Real>, chains = 4;
  Vec<Real> sums[chains][vectors] = {};
  if (start)
    for (int v = 0; v < vectors; ++v) sums[0][v] = load(start + v * lanes);
  Index k = 0;
  for (; k + chains <= depth; k += chains)
    for (int i = 0; i < chains; ++i) {
      const Vec<Real> factor = all(a[k + i]);
      for (int v = 0; v < vectors; ++v)
        sums[i][v] += factor * load(panel + ((k + i) * vectors + v) * lanes);
    }
  for (; k < depth; ++k)
    for (int v = 0; v < vectors; ++v)
      sums[0][v] += all(a[k]) * load(panel + (k * vectors + v) * lanes);
  for (int v = 0; v < vectors; ++v)
    store(c + v * lanes, (sums[0][v] + sums[1][v]) + (sums[2][v] + sums[3][v]));
}

template <class Real, int vectors>
void panel_times_rows(Index rows, const Packed<Real>& w, const Real* a, Index a_stride,
                      const Real* panel, const Real* start, Real* c, Index c_stride) {
  constexpr int most = kTile / vectors < 6 ? kTile / vectors : 6;
  Index left = rows;
  const auto step = [&](auto n) {
    tile<Real, n(), vectors>(w.depth, a, a_stride, panel, start, c, c_stride);
    a += n() * a_stride, c += n() * c_stride, left -= n();
  };
  while (left > 2 * most) step(std::integral_constant<int, most>{});
  while (left > 0) {  // the last two tiles have about equal heights, because a single row is slow
    switch (left > most ? (left + 1) / 2 : left) {
      case 1: return tile_of_one<Real, vectors>(w.depth, a, panel, start, c);
      case 2: step(std::integral_constant<int, 2>{}); break;
      case 3: step(std::integral_constant<int, 3>{}); break;
      case 4: step(std::integral_constant<int, 4>{}); break;
      case 5: step(std::integral_constant<int, 5>{}); break;
      default: step(std::integral_constant<int, 6>{}); break;
    }
  }
}

// Calls run(vectors, panel, first column) for panels from..to-1 of a packed matrix; `vectors` is an
// integral constant.
template <class Real, class Run>
void panels(const Packed<Real>& w, Index from, Index to, const Run& run) {
  constexpr Index lanes = kLanes<Real>;
  const Index vectors = Packed<Real>::vectors(w.width);
  for (Index p = from; p < to; ++p) {
    const Index first = p * kPanel, n = std::min<Index>(kPanel, vectors - first);
    const Real* const panel = w.data + w.depth * first * lanes;
    const Index at = first * lanes;
    if (n == kPanel) run(std::integral_constant<int, kPanel>{}, panel, at);
    else if (n == 1) run(std::integral_constant<int, 1>{}, panel, at);
#if CARROUSEL_ISA_AVX512
    else if (n == 2) run(std::integral_constant<int, 2>{}, panel, at);
    else run(std::integral_constant<int, 3>{}, panel, at);
#endif
  }
}

template <class Real>
Index panel_count(const Packed<Real>& w) {
  return (Packed<Real>::vectors(w.width) + kPanel - 1) / kPanel;
}

// c [rows, stride()] = start + a [rows, depth] w, for panels from..to-1.
template <class Real>
void product(Index rows, const Packed<Real>& w, const Real* a, Index a_stride, const Real* start,
             Real* c, Index from, Index to) {
  panels(w, from, to, [&](auto vectors, const Real* panel, Index at) {
    panel_times_rows<Real, vectors()>(rows, w, a, a_stride, panel, start ? start + at : nullptr,
                                      c + at, w.stride());
  });
}

template <class Real>
void product(Index rows, const Packed<Real>& w, const Real* a, Index a_stride, const Real* start,
             Real* c) {
  product(rows, w, a, a_stride, start, c, 0, panel_count(w));
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
