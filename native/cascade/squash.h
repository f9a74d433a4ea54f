// Vectors of double with the same bits on every instruction set: explicit fused operations, and
// activation functions built from them.
#pragma once

#include "sequence/vector.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

typedef std::int64_t lvec __attribute__((vector_size(4 * V), aligned(4 * V), may_alias));
constexpr int L = V / 2;  // lanes of double

// a b + c, rounded once.
inline dvec fused(dvec a, dvec b, dvec c) {
#if CARROUSEL_ISA_AVX512
  return (dvec)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif CARROUSEL_ISA_AVX2
  return (dvec)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#else
  for (int i = 0; i < L; ++i) c[i] = __builtin_fma(a[i], b[i], c[i]);
  return c;
#endif
}

inline dvec magnitude(dvec x) { return x < 0.0 ? -x : x; }
inline dvec clamped(dvec x, double limit) {  // NaN stays NaN
  x = all(limit) < x ? all(limit) : x;
  return all(-limit) > x ? all(-limit) : x;
}

// exp(x) = scale (1 + rest) with |rest| < 0.42, for |x| <= 700.
struct Power {
  dvec scale, rest;

  explicit Power(dvec x) {
    const dvec magic = all(6755399441055744.0);  // 1.5 2^52: the sum has no fraction bits left
    const dvec shifted = fused(x, all(1.4426950408889634), magic);
    const dvec n = shifted - magic;
    // ln 2 in two parts: n times the first is exact.
    const dvec r = fused(n, all(-1.9082149292705877e-10), fused(n, all(-0.6931471803691238), x));
    scale = (dvec)(((lvec)shifted << 52) + (std::int64_t{1023} << 52));
    // exp(r) - 1 by its series; |r| <= 0.347, so the first term left out is below 2e-17 r.
    const dvec r2 = r * r;
    dvec even = all(1.0 / 479001600), odd = all(1.0 / 6227020800.0);
    even = fused(even, r2, all(1.0 / 3628800)), odd = fused(odd, r2, all(1.0 / 39916800));
    even = fused(even, r2, all(1.0 / 40320)), odd = fused(odd, r2, all(1.0 / 362880));
    even = fused(even, r2, all(1.0 / 720)), odd = fused(odd, r2, all(1.0 / 5040));
    even = fused(even, r2, all(1.0 / 24)), odd = fused(odd, r2, all(1.0 / 120));
    even = fused(even, r2, all(0.5)), odd = fused(odd, r2, all(1.0 / 6));
    rest = fused(fused(odd, r, even), r2, r);
  }
};

struct Logistic {
  static dvec value(dvec x) {
    const Power e(clamped(-x, 700.0));
    return 1.0 / (fused(e.scale, e.rest, e.scale) + 1.0);
  }
  static dvec slope(dvec y) { return y * (1.0 - y); }
};

struct Tanh {
  // -E / (2 + E) with E = exp(-2 x) - 1, which is accurate for small x.
  static dvec value(dvec x) {
    x = clamped(x, 20.0);
    const Power e(-(x + x));
    const dvec E = fused(e.scale, e.rest, e.scale - 1.0);
    return -E / (E + 2.0);
  }
  static dvec slope(dvec y) { return fused(-y, y, all(1.0)); }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
