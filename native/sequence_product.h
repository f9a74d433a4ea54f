// The recurrent product: rows of the batch times a matrix packed once.
//
// A packed matrix [depth, width] is cut into panels of up to kPanel vectors of columns; a panel
// holds, for each row of the matrix, its columns side by side, the last ones filled up with zeros.
#pragma once

#include <algorithm>

#include "sequence_vector.h"

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
  Index stride() const { return vectors(width) * kLanes<Real>; }  // columns, filled up
  static std::size_t size(Index depth, Index width) {
    return static_cast<std::size_t>(depth * vectors(width) * kLanes<Real>);
  }
};

// at(row, column) gives the matrix.
template <class Real, class At>
Packed<Real> pack(Real* to, Index depth, Index width, const At& at) {
  const Index lanes = kLanes<Real>, vectors = Packed<Real>::vectors(width);
  Real* next = to;
  for (Index first = 0; first < vectors; first += kPanel) {
    const Index columns = std::min<Index>(kPanel, vectors - first) * lanes;
    for (Index row = 0; row < depth; ++row)
      for (Index i = 0; i < columns; ++i) {
        const Index column = first * lanes + i;
        *next++ = column < width ? at(row, column) : Real{0};
      }
  }
  return {to, depth, width};
}

// `rows` rows of a times one panel of `vectors` vectors, plus `start` (null: zero), to c.
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

// One row alone: four chains of additions a vector, since each waits for the one before.
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
  while (left > most) step(std::integral_constant<int, most>{});
  switch (left) {
    case 1: tile_of_one<Real, vectors>(w.depth, a, panel, start, c); break;
    case 2: step(std::integral_constant<int, 2>{}); break;
    case 3: step(std::integral_constant<int, 3>{}); break;
    case 4: step(std::integral_constant<int, 4>{}); break;
    case 5: step(std::integral_constant<int, 5>{}); break;
    case 6: step(std::integral_constant<int, 6>{}); break;
    default: break;
  }
}

// c [rows, stride()] = start + a [rows, depth] w, for panels first..last-1.
template <class Real>
void product(Index rows, const Packed<Real>& w, const Real* a, Index a_stride, const Real* start,
             Real* c) {
  const Index lanes = kLanes<Real>, vectors = Packed<Real>::vectors(w.width);
  const Index c_stride = w.stride();
  const Real* panel = w.data;
  for (Index first = 0; first < vectors; first += kPanel) {
    const int n = static_cast<int>(std::min<Index>(kPanel, vectors - first));
    const Index at = first * lanes;
    const Real* from = start ? start + at : nullptr;
    const auto run = [&](auto v) {
      panel_times_rows<Real, v()>(rows, w, a, a_stride, panel, from, c + at, c_stride);
    };
    if (n == kPanel) run(std::integral_constant<int, kPanel>{});
    else if (n == 1) run(std::integral_constant<int, 1>{});
#if CARROUSEL_ISA_AVX512
    else if (n == 2) run(std::integral_constant<int, 2>{});
    else run(std::integral_constant<int, 3>{});
#endif
    panel += w.depth * n * lanes;
  }
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
