// Vectors of float and double: unaligned loads and stores, and activation functions.
#pragma once

#include <cmath>
#include <cstring>

#include "common/pointwise.h"
#include "sequence/sequence.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

typedef double dvec __attribute__((vector_size(4 * V), aligned(4 * V), may_alias));

template <class Real> struct Wide;
template <> struct Wide<float> {
  typedef vec type;
  typedef float loose __attribute__((vector_size(4 * V), aligned(4), may_alias));
};
template <> struct Wide<double> {
  typedef dvec type;
  typedef double loose __attribute__((vector_size(4 * V), aligned(8), may_alias));
};
template <class Real> using Vec = typename Wide<Real>::type;
template <class Real> constexpr int kLanes = 4 * V / static_cast<int>(sizeof(Real));

template <class Real>
inline Vec<Real> load(const Real* from) {
  return (Vec<Real>)*reinterpret_cast<const typename Wide<Real>::loose*>(from);
}
template <class Real>
inline void store(Real* to, Vec<Real> x) {
  *reinterpret_cast<typename Wide<Real>::loose*>(to) = (typename Wide<Real>::loose)x;
}
template <class Real>
inline Vec<Real> all(Real x) { return x - Vec<Real>{}; }

// The first n numbers of a vector. load() sets the others to zero; store() does not write them.
template <class Real>
inline Vec<Real> load(const Real* from, int n) {
  if (n == kLanes<Real>) return load(from);
  Vec<Real> x{};
  std::memcpy(&x, from, sizeof(Real) * static_cast<std::size_t>(n));
  return x;
}
template <class Real>
inline void store(Real* to, Vec<Real> x, int n) {
  if (n == kLanes<Real>) return store(to, x);
  std::memcpy(to, &x, sizeof(Real) * static_cast<std::size_t>(n));
}
template <class Real>
inline void add(Real* to, Vec<Real> x, int n) { store(to, load(to, n) + x, n); }

// Asks for n numbers that will be read soon.
template <class Real>
inline void prefetch(const Real* from, Index n) {
  constexpr Index line = 64 / sizeof(Real);
  for (Index i = 0; i < n; i += line) __builtin_prefetch(from + i);
}

inline double total(dvec x) {
  double sum = 0;
  for (int i = 0; i < V / 2; ++i) sum += x[i];
  return sum;
}

inline vec sigmoid(vec x) { return over(splat(1.0f), 1.0f + exp_of_minus(x)); }

template <class F>
inline dvec each(dvec x, F f) {
  for (int i = 0; i < V / 2; ++i) x[i] = f(x[i]);
  return x;
}
inline dvec exp_of_minus(dvec x) {
  return each(x, [](double v) { return std::exp(-v); });
}
inline dvec sigmoid(dvec x) {
  return each(x, [](double v) { return 1.0 / (1.0 + std::exp(-v)); });
}
// a / (sqrt(v) + epsilon), for v >= 0.
inline dvec ratio(dvec a, dvec v, dvec epsilon) {
  return a / (each(v, [](double x) { return std::sqrt(x); }) + epsilon);
}
inline vec ratio(vec a, vec v, vec epsilon) {
#if CARROUSEL_ISA_AVX512
  // The square root occupies the divider, so the quotient is found by a Newton step instead.
  const vec below = root(v) + epsilon;
  const vec q = (vec)_mm512_rcp14_ps((__m512)below);
  const vec first = a * q;
  return first + q * (a - below * first);  // one Newton step on the quotient
#else
  return a / (root(v) + epsilon);
#endif
}

inline dvec hyperbolic_tangent(dvec x) {
  return each(x, [](double v) { return std::tanh(v); });
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
