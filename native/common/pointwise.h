// Activation functions and their derivatives. All kernels use this copy.
#pragma once

#include <type_traits>

#include "common/carrousel.h"
#include "common/simd.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// exp(-x) = 2^n (1 + f p). The relative error of f p is about 1e-7; |x| saturates at 87.
struct Exponential {
  vec f, p;
  ivec exponent;  // n, in the bits of a float's exponent

  // x 2^n for x in [1, 2) or next to it: the sum of the exponents.
  vec scaled(vec x) const { return (vec)((ivec)x + exponent); }
};

// Lanes round x log2(e) once, others twice: streams continue checkpoints of earlier versions exactly.
enum class Rounding { once, twice };

template <Rounding rounding>
inline Exponential exponential_of_minus(vec x) {
  constexpr float log2e = -1.44269504088896340736f, magic = 12582912.0f;  // 1.5 * 2^23
  x = at_least(-87.0f, at_most(87.0f, x));
  vec sum, f;  // the sum has no fraction bits left: the low bits of its mantissa hold n; |f| <= 1/2
  if constexpr (rounding == Rounding::twice) {
    const vec product = x * log2e, n = nearest(product);
    sum = n + magic, f = product - n;
  } else {
    sum = fma(x, splat(log2e), splat(magic));
    const vec n = sum - magic;
    if constexpr (kFused)
      f = fma(x, splat(log2e), -n);
    else  // n times the upper part of ln 2 is exact
      f = log2e * ((x + n * 0.693359375f) - n * 2.12194440e-4f);
  }
  // 2^f = 1 + f p(f), where p is a Chebyshev fit of degree 5 with a relative error of 1.1e-8.
  // Terms are summed in pairs to shorten the dependency chain, which is on the critical path twice
  // per step.
  const vec f2 = f * f;
  const vec low = fma(f, splat(0.24022649f), splat(0.6931472f));
  const vec middle = fma(f, splat(0.009618238f), splat(0.055503573f));
  const vec high = fma(f, splat(0.00015403512f), splat(0.0013390735f));
  return {f, fma(f2, fma(f2, high, middle), low), (ivec)sum << 23};
}

// exp(-x) with a relative error of about 1e-7. Saturates at exp(+-87) instead of overflowing.
template <Rounding rounding = Rounding::twice>
inline vec exp_of_minus(vec x) {
  const Exponential e = exponential_of_minus<rounding>(x);
  return e.scaled(fma(e.f, e.p, splat(1.0f)));
}

// tanh(x) = -E / (2 + E) with E = exp(-2 x) - 1, which is accurate for small x.
inline vec hyperbolic_tangent(vec x) {
  x = at_least(-40.0f, at_most(40.0f, x));  // keeps E + 2 within the range of over()
  const Exponential e = exponential_of_minus<Rounding::twice>(x + x);
  const vec scale = e.scaled(splat(1.0f));
  const vec E = fma(scale, e.f * e.p, scale - 1.0f);
  return over(-E, E + 2.0f);
}

// 1 / (1 + exp(-x)), wrong by at most 2 units in the last place for x > -1, and by 2 + |x| / 4 below:
// log2(e) in float32 adds 1.4e-8 |x| to the relative error of exp(-x).
inline vec logistic(vec x) { return 1.0f / (1.0f + exp_of_minus<Rounding::once>(x)); }

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
    if (kind == Squash::identity) return x;
    if constexpr (std::is_same_v<Vector, vec>) return fma(splat(span), y, splat(low));
    return low + span * y;
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
