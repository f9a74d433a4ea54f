// Gate arithmetic and its derivative: the only copy of the maths outside the reference.
#pragma once

#include "carrousel.h"
#include "simd.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// exp(-x) - 1, relative error about 1e-7 also near 0; argument clipped to +-87 (no overflow).
inline vec expm1_of_minus(vec x) {
  constexpr float log2e = 1.44269504088896340736f;
  const vec z = at_least(-87.0f, at_most(87.0f, -x));
  const vec n = nearest(z * log2e);
  const vec f = z * log2e - n;  // |f| <= 1/2, one rounding where the compiler may contract
  // (2^f - 1) / f, Chebyshev-weighted fit of degree 5, relative error 1.1e-8.
  const vec p = 0.6931472f +
                f * (0.24022649f +
                     f * (0.055503573f +
                          f * (0.009618238f + f * (0.0013390735f + f * 0.00015403512f))));
  const vec scale = power_of_two(n);
  return scale * (f * p) + (scale - 1.0f);
}

inline vec logistic(vec x) { return 1.0f / (2.0f + expm1_of_minus(x)); }

inline vec logistic_slope(vec y) { return y * (1.0f - y); }

// A squashing function by its range [low, high]; the slope follows from the value, since for
// y = low + (high - low) f(x):  y' = (y - low) (high - y) / (high - low).
struct Squasher {
  Squash kind;
  float half;     // |low| = |high| for the symmetric ones
  float inverse;  // 1 / (high - low)

  explicit Squasher(Squash k) : kind(k) {
    half = k == Squash::four ? 4.0f : k == Squash::two ? 2.0f : 1.0f;
    inverse = k == Squash::unit ? 1.0f : 0.5f / half;
  }

  vec value(vec x) const {
    if (kind == Squash::identity) return x;
    const vec m = expm1_of_minus(x);
    const vec d = 1.0f / (2.0f + m);
    return kind == Squash::unit ? d : (-half * m) * d;  // half tanh(x/2), exact sign near 0
  }

  vec slope(vec y) const {
    if (kind == Squash::identity) return splat(1.0f);
    if (kind == Squash::unit) return logistic_slope(y);
    return (half - y) * (half + y) * inverse;
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
