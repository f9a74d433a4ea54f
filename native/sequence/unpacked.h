// Products with weights in the layout of the caller, for calls of few rows, where packing would take
// longer than the product.
#pragma once

#include <algorithm>

#include "sequence/vector.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

inline dvec totals(dvec x[V / 2]) {
  dvec sums{};
  for (int i = 0; i < V / 2; ++i) sums[i] = total(x[i]);
  return sums;
}

// sums [rows, n] = a [rows, depth] w^T, with w [n, depth]. There are as many sums as lanes, so that
// they are added up together, or one.
template <class Real, int rows, int n>
void dots(Index depth, const Real* w, const Real* a, Index a_stride, Real* sums) {
  constexpr int lanes = kLanes<Real>;
  static_assert(rows * n == lanes || rows * n == 1);
  Vec<Real> parts[rows * n] = {};
  const auto step = [&](Index k, int given) {
    Vec<Real> source[rows];
    for (int r = 0; r < rows; ++r) source[r] = load(a + r * a_stride + k, given);
    for (int i = 0; i < n; ++i) {
      const Vec<Real> weights = load(w + i * depth + k, given);
      for (int r = 0; r < rows; ++r) parts[r * n + i] += source[r] * weights;
    }
  };
  Index k = 0;
  for (; k + lanes <= depth; k += lanes) step(k, lanes);
  if (k < depth) step(k, static_cast<int>(depth - k));
  if constexpr (rows * n == 1) *sums = total(parts[0]);
  else store(sums, totals(parts));
}

// c = start + sums, for rows of n numbers; start null: zero.
template <class Real, int rows, int n>
void put(const Real* sums, const Real* start, Real* c, Index c_stride) {
  for (int r = 0; r < rows; ++r)
    for (int j = 0; j < n; ++j)
      c[r * c_stride + j] = start ? sums[r * n + j] + start[j] : sums[r * n + j];
}

// Columns of c for `n` rows of w, which stay in the nearest cache meanwhile.
template <class Real, int n>
void times_turned_columns(Index rows, const Real* w, Index depth, const Real* a, Index a_stride,
                          const Real* start, Real* c, Index c_stride) {
  constexpr int most = kLanes<Real> / n;
  Real sums[kLanes<Real>];
  Index r = 0;
  for (; r + most <= rows; r += most) {
    dots<Real, most, n>(depth, w, a + r * a_stride, a_stride, sums);
    put<Real, most, n>(sums, start, c + r * c_stride, c_stride);
  }
  for (; r < rows; ++r)
    for (int j = 0; j < n; ++j) {
      dots<Real, 1, 1>(depth, w + j * depth, a + r * a_stride, a_stride, sums);
      put<Real, 1, 1>(sums, start ? start + j : start, c + r * c_stride + j, c_stride);
    }
}

// c [rows, width] = start [width] + a [rows, depth] w^T, with w [width, depth]; start null: zero.
template <class Real>
void times_turned(Index rows, const Real* w, Index width, Index depth, const Real* a,
                  Index a_stride, const Real* start, Real* c, Index c_stride) {
  constexpr int lanes = kLanes<Real>, four = std::min(4, lanes);
  const Index many = rows / four * four;  // rows of a that are taken four at a time
  Index i = 0;
  for (; many && i + lanes / four <= width; i += lanes / four)
    times_turned_columns<Real, lanes / four>(many, w + i * depth, depth, a, a_stride,
                                             start ? start + i : start, c + i, c_stride);
  for (; many && i < width; ++i)
    times_turned_columns<Real, 1>(many, w + i * depth, depth, a, a_stride,
                                  start ? start + i : start, c + i, c_stride);
  const Index left = rows - many;
  a += many * a_stride, c += many * c_stride, i = 0;
  for (; left && i + lanes <= width; i += lanes)
    times_turned_columns<Real, lanes>(left, w + i * depth, depth, a, a_stride,
                                      start ? start + i : start, c + i, c_stride);
  for (; left && i < width; ++i)
    times_turned_columns<Real, 1>(left, w + i * depth, depth, a, a_stride,
                                  start ? start + i : start, c + i, c_stride);
}

// Some columns of c = a w; the last of `vectors` vectors of them holds `last` columns.
template <class Real, int rows, int vectors>
void times_columns(const Real* w, Index width, Index depth, const Real* a, Index a_stride, Real* c,
                   Index c_stride, int last) {
  constexpr int lanes = kLanes<Real>;
  constexpr int chains = rows == 1 ? 4 : rows == 2 ? 2 : 1;  // hide the latency of an addition
  const auto given = [&](int v) { return v + 1 < vectors ? lanes : last; };
  Vec<Real> sums[chains][rows][vectors] = {};
  const auto step = [&](int chain, Index k) {
    for (int v = 0; v < vectors; ++v) {
      const Vec<Real> weights = load(w + k * width + v * lanes, given(v));
      for (int r = 0; r < rows; ++r)
        sums[chain][r][v] += all(a[r * a_stride + k]) * weights;
    }
  };
  Index k = 0;
  for (; k + chains <= depth; k += chains)
    for (int i = 0; i < chains; ++i) step(i, k + i);
  for (; k < depth; ++k) step(0, k);
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) {
      Vec<Real> sum = sums[0][r][v];
      for (int i = 1; i < chains; ++i) sum += sums[i][r][v];
      store(c + r * c_stride + v * lanes, sum, given(v));
    }
}

template <class Real, int vectors>
void times_panel(Index rows, const Real* w, Index width, Index depth, const Real* a,
                 Index a_stride, Real* c, Index c_stride, int last) {
  Index r = 0;
  const auto run = [&](auto n) {
    times_columns<Real, n(), vectors>(w, width, depth, a + r * a_stride, a_stride,
                                      c + r * c_stride, c_stride, last);
    r += n();
  };
  while (rows - r >= 4) run(std::integral_constant<int, 4>{});
  if (rows - r >= 2) run(std::integral_constant<int, 2>{});
  if (rows - r) run(std::integral_constant<int, 1>{});
}

// c [rows, width] = a [rows, depth] w, with w [depth, width].
template <class Real>
void times(Index rows, const Real* w, Index width, Index depth, const Real* a, Index a_stride,
           Real* c, Index c_stride) {
  constexpr Index lanes = kLanes<Real>;
  constexpr int most = 4;
  Index at = 0;
  const auto run = [&](auto vectors, int last) {
    times_panel<Real, vectors()>(rows, w + at, width, depth, a, a_stride, c + at, c_stride, last);
    at += vectors() * lanes;
  };
  while (at + most * lanes <= width) run(std::integral_constant<int, most>{}, lanes);
  while (at + lanes <= width) run(std::integral_constant<int, 1>{}, lanes);
  if (at < width) run(std::integral_constant<int, 1>{}, static_cast<int>(width - at));
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
