// Products with weights in the layout of the caller, for calls of few rows, where packing would take
// longer than the product.
#pragma once

#include "sequence/vector.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// The sums of a [rows of a, depth] times rows of w [n, depth], for `rows` rows of a.
template <class Real, int rows, int n>
void dots(Index depth, const Real* w, const Real* a, Index a_stride, Real (&sums)[rows][n]) {
  constexpr Index lanes = kLanes<Real>;
  Vec<Real> parts[rows][n] = {};
  Index k = 0;
  for (; k + lanes <= depth; k += lanes) {
    Vec<Real> weights[n];
    for (int i = 0; i < n; ++i) weights[i] = load(w + i * depth + k);
    for (int r = 0; r < rows; ++r) {
      const Vec<Real> source = load(a + r * a_stride + k);
      for (int i = 0; i < n; ++i) parts[r][i] += source * weights[i];
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int i = 0; i < n; ++i) {
      Real sum = total(parts[r][i]);
      for (Index last = k; last < depth; ++last)
        sum += a[r * a_stride + last] * w[i * depth + last];
      sums[r][i] = sum;
    }
}

template <class Real, int rows>
void times_turned_rows(const Real* w, Index width, Index depth, const Real* a, Index a_stride,
                       const Real* start, Real* c, Index c_stride) {
  constexpr int most = rows > 2 ? 4 : 8;
  const auto run = [&](auto n, Index i) {
    Real sums[rows][n()];
    dots<Real, rows, n()>(depth, w + i * depth, a, a_stride, sums);
    for (int r = 0; r < rows; ++r)
      for (int j = 0; j < n(); ++j)
        c[r * c_stride + i + j] = start ? sums[r][j] + start[i + j] : sums[r][j];
  };
  Index i = 0;
  for (; i + most <= width; i += most) run(std::integral_constant<int, most>{}, i);
  for (; i < width; ++i) run(std::integral_constant<int, 1>{}, i);
}

// c [rows, width] = start [width] + a [rows, depth] w^T, with w [width, depth]; start null: zero.
template <class Real>
void times_turned(Index rows, const Real* w, Index width, Index depth, const Real* a,
                  Index a_stride, const Real* start, Real* c, Index c_stride) {
  Index r = 0;
  const auto run = [&](auto n) {
    times_turned_rows<Real, n()>(w, width, depth, a + r * a_stride, a_stride, start,
                                 c + r * c_stride, c_stride);
    r += n();
  };
  while (rows - r >= 4) run(std::integral_constant<int, 4>{});
  if (rows - r >= 2) run(std::integral_constant<int, 2>{});
  if (rows - r) run(std::integral_constant<int, 1>{});
}

// Columns at..at+n-1 of c = a w, where the last of `vectors` vectors holds `last` columns.
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

template <class Real, int rows>
void times_rows(const Real* w, Index width, Index depth, const Real* a, Index a_stride, Real* c,
                Index c_stride) {
  constexpr Index lanes = kLanes<Real>;
  constexpr int most = 4;
  Index at = 0;
  const auto run = [&](auto vectors, int last) {
    times_columns<Real, rows, vectors()>(w + at, width, depth, a, a_stride, c + at, c_stride, last);
    at += vectors() * lanes;
  };
  while (at + most * lanes <= width) run(std::integral_constant<int, most>{}, lanes);
  while (at + lanes <= width) run(std::integral_constant<int, 1>{}, lanes);
  if (at < width) run(std::integral_constant<int, 1>{}, static_cast<int>(width - at));
}

// c [rows, width] = a [rows, depth] w, with w [depth, width].
template <class Real>
void times(Index rows, const Real* w, Index width, Index depth, const Real* a, Index a_stride,
           Real* c, Index c_stride) {
  Index r = 0;
  const auto run = [&](auto n) {
    times_rows<Real, n()>(w, width, depth, a + r * a_stride, a_stride, c + r * c_stride, c_stride);
    r += n();
  };
  while (rows - r >= 4) run(std::integral_constant<int, 4>{});
  if (rows - r >= 2) run(std::integral_constant<int, 2>{});
  if (rows - r) run(std::integral_constant<int, 1>{});
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
