// The product of rows of the batch and a packed matrix.
#pragma once

#include "sequence/stored.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Terms that are added one after another; longer sums consist of such parts, and round less.
constexpr Index kChain = 256;

// c = start + a w for `rows` rows of a and one panel of `vectors` vectors; start null: zero.
template <class Real, int rows, int vectors>
void tile(Index depth, const Real* a, Index a_stride, const Real* panel, const Real* start,
          Real* c, Index c_stride) {
  constexpr int lanes = kLanes<Real>;
  Index k = 0;
  do {
    const Index end = std::min(depth, k + kChain);
    const bool first = k == 0;
    Vec<Real> sums[rows][vectors];
    for (int v = 0; v < vectors; ++v) {
      const Vec<Real> from = first && start ? load(start + v * lanes) : Vec<Real>{};
      for (int r = 0; r < rows; ++r) sums[r][v] = from;
    }
    for (; k < end; ++k) {
      Vec<Real> w[vectors];
      for (int v = 0; v < vectors; ++v) w[v] = load(panel + (k * vectors + v) * lanes);
      for (int r = 0; r < rows; ++r) {
        const Vec<Real> factor = all(a[r * a_stride + k]);
        for (int v = 0; v < vectors; ++v) sums[r][v] += factor * w[v];
      }
    }
    for (int r = 0; r < rows; ++r)
      for (int v = 0; v < vectors; ++v) {
        Real* const to = c + r * c_stride + v * lanes;
        store(to, first ? sums[r][v] : load(to) + sums[r][v]);
      }
  } while (k < depth);
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

// Calls run(n, first row) for tiles of n rows; n is an integral constant.
template <int vectors, class Run>
inline void tiles(Index rows, const Run& run) {
  constexpr int most = kTile / vectors < 6 ? kTile / vectors : 6;
  Index first = 0;
  const auto step = [&](auto n) { run(n, first), first += n(); };
  while (rows - first > 2 * most) step(std::integral_constant<int, most>{});
  while (first < rows) {  // the last two tiles have about equal heights: a single row is slow
    const Index left = rows - first;
    switch (left > most ? (left + 1) / 2 : left) {
      case 1: step(std::integral_constant<int, 1>{}); break;
      case 2: step(std::integral_constant<int, 2>{}); break;
      case 3: step(std::integral_constant<int, 3>{}); break;
      case 4: step(std::integral_constant<int, 4>{}); break;
      case 5: step(std::integral_constant<int, 5>{}); break;
      default: step(std::integral_constant<int, 6>{}); break;
    }
  }
}

// Rows of factors, `stride` numbers apart, and their copy in int8 if the matrix is.
template <class Real>
struct Rows {
  const Real* data;
  Index stride;
  NarrowRows narrow{};

  Rows from(Index row) const { return {data + row * stride, stride, narrow.from(row)}; }
};

// c [rows] = start + a w for the panel whose first column is `at`.
template <class Real, int vectors>
void panel_times_rows(Index rows, const Packed<Real>& w, const Rows<Real>& a, Index at,
                      const Real* start, Real* c, Index c_stride) {
  const char* const panel = w.panel(at);
  if constexpr (std::is_same_v<Real, float>) {
    if (w.storage == Storage::int8)
      return tiles<vectors>(rows, [&](auto n, Index r) {
        narrow_tile<n(), vectors>(w, a.narrow, r, panel, at, start, c + r * c_stride, c_stride);
      });
    if (w.storage == Storage::bfloat16)
      return tiles<vectors>(rows, [&](auto n, Index r) {
        half_tile<PairedBfloat16, n(), vectors>(w.depth, a.data + r * a.stride, a.stride, panel,
                                                start, c + r * c_stride, c_stride);
      });
    if (w.storage == Storage::float16)
      return tiles<vectors>(rows, [&](auto n, Index r) {
        half_tile<Float16, n(), vectors>(w.depth, a.data + r * a.stride, a.stride, panel, start,
                                         c + r * c_stride, c_stride);
      });
  }
  const Real* const numbers = reinterpret_cast<const Real*>(panel);
  tiles<vectors>(rows, [&](auto n, Index r) {
    const Real* const factors = a.data + r * a.stride;
    if constexpr (n() == 1)
      tile_of_one<Real, vectors>(w.depth, factors, numbers, start, c + r * c_stride);
    else
      tile<Real, n(), vectors>(w.depth, factors, a.stride, numbers, start, c + r * c_stride,
                               c_stride);
  });
}

// Calls run(vectors, first column) for panels from..to-1 of a packed matrix; `vectors` is an
// integral constant.
template <class Real, class Run>
void panels(const Packed<Real>& w, Index from, Index to, const Run& run) {
  constexpr Index lanes = kLanes<Real>;
  const Index vectors = Packed<Real>::vectors(w.width);
  for (Index p = from; p < to; ++p) {
    const Index first = p * kPanel, n = std::min<Index>(kPanel, vectors - first);
    const Index at = first * lanes;
    if (n == kPanel) run(std::integral_constant<int, kPanel>{}, at);
    else if (n == 1) run(std::integral_constant<int, 1>{}, at);
#if CARROUSEL_ISA_AVX512
    else if (n == 2) run(std::integral_constant<int, 2>{}, at);
    else run(std::integral_constant<int, 3>{}, at);
#endif
  }
}

// Rows a [rows, depth] as factors of w. `room` [narrow_size()] holds the copy of a matrix of int8.
template <class Real>
Rows<Real> factors_of(Index rows, const Packed<Real>& w, const Real* a, Index a_stride,
                      Real* room) {
  Rows<Real> factors{a, a_stride};
  if constexpr (std::is_same_v<Real, float>)
    if (w.storage == Storage::int8) factors.narrow = narrow_rows(rows, w.depth, a, a_stride, room);
  return factors;
}

// c [rows, stride()] = start + a [rows, depth] w, for panels from..to-1.
template <class Real>
void product(Index rows, const Packed<Real>& w, const Rows<Real>& a, const Real* start, Real* c,
             Index from, Index to) {
  panels(w, from, to, [&](auto vectors, Index at) {
    panel_times_rows<Real, vectors()>(rows, w, a, at, start ? start + at : nullptr, c + at,
                                      w.stride());
  });
}

template <class Real>
void product(Index rows, const Packed<Real>& w, const Rows<Real>& a, const Real* start, Real* c) {
  product(rows, w, a, start, c, 0, panel_count(w));
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
