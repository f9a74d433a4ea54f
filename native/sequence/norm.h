// Layer normalisation of one row, forward and backward: x -> (x - mean) rate scale + start, where
// rate = 1 / standard deviation.
#pragma once

#include "sequence/vector.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Runs body(u, n) for each vector of n units from u on.
template <class Real, class Body>
inline void units(Index begin, Index end, const Body& body) {
  constexpr Index lanes = kLanes<Real>;
  Index u = begin;
  for (; u + lanes <= end; u += lanes) body(u, static_cast<int>(lanes));
  if (u < end) body(u, static_cast<int>(end - u));
}
template <class Real, class Body>
inline void units(Index C, const Body& body) {
  units<Real>(0, C, body);
}

template <class Real>
struct Moments {
  Real mean, rate;
};

// The sum of value(u, k) over vectors of k numbers from u on. Four independent sums hide the
// latency of an addition. The last vector may be partial.
template <class Real, class Value>
inline Real sum_of(Index n, const Value& value) {
  constexpr Index lanes = kLanes<Real>;
  Vec<Real> sums[4] = {};
  Index u = 0;
  for (; u + 4 * lanes <= n; u += 4 * lanes)
    for (int i = 0; i < 4; ++i) sums[i] += value(u + i * lanes, static_cast<int>(lanes));
  for (; u + lanes <= n; u += lanes) sums[0] += value(u, static_cast<int>(lanes));
  Real sum = total((sums[0] + sums[1]) + (sums[2] + sums[3]));
  if (u == n) return sum;
  const Vec<Real> last = value(u, static_cast<int>(n - u));
  for (int i = 0; i < n - u; ++i) sum += last[i];
  return sum;
}

template <class Real>
Moments<Real> moments(Index n, const Real* x) {
  const Real mean =
      sum_of<Real>(n, [&](Index u, int k) { return load(x + u, k); }) / static_cast<Real>(n);
  const Real variance = sum_of<Real>(n, [&](Index u, int k) {
    const Vec<Real> d = load(x + u, k) - mean;
    return d * d;
  }) / static_cast<Real>(n);
  return {mean, Real{1} / std::sqrt(variance + static_cast<Real>(1e-5))};
}

// row [n] = LN(row) scale [n] + start [n], or + 0 if start is null. Writes what the backward pass
// needs, unless null: LN(row) to `unit` [n], and the rate.
template <class Real>
void normalise(Index n, const Real* scale, const Real* start, Real* row, Real* unit, Real* rate) {
  const auto at = moments(n, row);
  if (rate) *rate = at.rate;
  units<Real>(n, [&](Index u, int k) {
    const Vec<Real> normed = (load(row + u, k) - at.mean) * at.rate;
    if (unit) store(unit + u, normed, k);
    const Vec<Real> y = normed * load(scale + u, k);
    store(row + u, start ? y + load(start + u, k) : y, k);
  });
}

// Sums over a row of errors e of normalised values: the mean of e, and the mean of e times the
// value. The error of x is rate (e - mean - value along).
template <class Real>
struct NormErrors {
  Real mean, along;

  Vec<Real> back(Vec<Real> e, Vec<Real> unit, Real rate) const {
    return rate * (e - mean - unit * along);
  }
};

// Collects NormErrors from vectors, in which absent lanes of e are zero.
template <class Real>
struct NormSums {
  Vec<Real> plain{}, along{};

  void add(Vec<Real> e, Vec<Real> unit) { plain += e, along += e * unit; }
  NormErrors<Real> means(Index n) const {
    return {total(plain) / static_cast<Real>(n), total(along) / static_cast<Real>(n)};
  }
};

// into [n] = errors of x, from errors e [n] of LN(x) scale; may be e. Adds to d_scale [n]. `unit`
// [n] and `rate` are those of normalise().
template <class Real>
void normalise_back(Index n, const Real* unit, Real rate, const Real* scale, const Real* e,
                    Real* d_scale, Real* into) {
  NormSums<Real> sums;
  units<Real>(n, [&](Index u, int k) {
    const Vec<Real> error = load(e + u, k), x = load(unit + u, k);
    const Vec<Real> scaled = error * load(scale + u, k);
    add(d_scale + u, error * x, k), store(into + u, scaled, k), sums.add(scaled, x);
  });
  const NormErrors<Real> means = sums.means(n);
  units<Real>(n, [&](Index u, int k) {
    store(into + u, means.back(load(into + u, k), load(unit + u, k), rate), k);
  });
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
