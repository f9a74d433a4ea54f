// Activation functions and their derivatives. All kernels use this copy.
#pragma once

#include "common/carrousel.h"
#include "common/simd.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// exp(-x) = 2^n (1 + f p). The relative error of f p is about 1e-7; |x| saturates at 87.
struct Exponential {
  vec n, f, p;
};

inline Exponential exponential_of_minus(vec x) {
  constexpr float log2e = -1.44269504088896340736f;
  x = at_least(-87.0f, at_most(87.0f, x));
  const vec n = nearest(x * log2e);
  const vec f = x * log2e - n;  // |f| <= 1/2; rounded once if the compiler contracts it
  // 2^f = 1 + f p(f), where p is a Chebyshev fit of degree 5 with a relative error of 1.1e-8.
  // Terms are summed in pairs to shorten the dependency chain, which is on the critical path twice
  // per step.
  const vec f2 = f * f;
  const vec p = (0.6931472f + f * 0.24022649f) +
                f2 * ((0.055503573f + f * 0.009618238f) +
                      f2 * (0.0013390735f + f * 0.00015403512f));
  return {n, f, p};
}

// exp(-x) with a relative error of about 1e-7. Saturates at exp(+-87) instead of overflowing.
inline vec exp_of_minus(vec x) {
  const Exponential e = exponential_of_minus(x);
  return times_power_of_two(1.0f + e.f * e.p, e.n);
}

// tanh(x) = -E / (2 + E) with E = exp(-2 x) - 1, which is accurate for small x.
inline vec hyperbolic_tangent(vec x) {
  x = at_least(-40.0f, at_most(40.0f, x));  // keeps E + 2 within the range of over()
  const Exponential e = exponential_of_minus(x + x);
  const vec scale = times_power_of_two(splat(1.0f), e.n);
  const vec E = scale * (e.f * e.p) + (scale - 1.0f);
  return over(-E, E + 2.0f);
}

inline vec logistic(vec x) { return 1.0f / (1.0f + exp_of_minus(x)); }

inline vec logistic_slope(vec y) { return y * (1.0f - y); }

// The squashing function y = low + (high - low) logistic(x), described by its range. Its slope is
// (y - low) (high - y) / (high - low).
template <class Real>
struct SquasherOf {
  Squash kind;
  Real low, span, inverse;

  explicit SquasherOf(Squash k) : kind(k) {
    const Real half = k == Squash::four ? 4 : k == Squash::two ? 2 : 1;
    low = k == Squash::unit ? 0 : -half;
    span = k == Squash::unit ? 1 : 2 * half;
    inverse = 1 / span;
  }

  // The value at x, given y = logistic(x).
  template <class Vector>
  Vector from_logistic(Vector x, Vector y) const {
    return kind == Squash::identity ? x : low + span * y;
  }

  template <class Vector>
  Vector slope(Vector y) const {
    if (kind == Squash::identity) return Vector{} + Real{1};
    return (y - low) * (low + span - y) * inverse;
  }
};

struct Squasher : SquasherOf<float> {
  using SquasherOf<float>::SquasherOf;
  vec value(vec x) const { return from_logistic(x, logistic(x)); }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
