// The product of the probabilities of experts, for one instruction set.
#include <algorithm>

#include "sequence/vector.h"
#include "stream/stream.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

typedef std::int64_t lvec __attribute__((vector_size(4 * V), may_alias));
constexpr int kWide = kLanes<double>;

inline dvec polynomial(dvec) { return dvec{}; }
// c + x (next + x (...)), the coefficients in ascending order.
template <class... Rest>
inline dvec polynomial(dvec x, double c, Rest... rest) {
  return c + x * polynomial(x, rest...);
}

// log(x) for normal numbers x in (0, 1], within 2 units in the last place. x = 2^n m with m about
// 0.7 to 1.4, and log m = 2 artanh(s) = 2 (s + s^3/3 + s^5/5 + ...) with s = (m - 1) / (m + 1).
inline dvec log_of(dvec x) {
  const lvec bits = (lvec)x, above = (bits & 0xFFFFFFFFFFFFF) > 0x6A09E667F3BCD;
  const lvec n = (bits >> 52) - 1023 - above;
  const dvec m = (dvec)(bits - (n << 52)), s = (m - 1.0) / (m + 1.0);
  const dvec whole = __builtin_convertvector(n, dvec);
  const dvec series = polynomial(s * s, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9, 1.0 / 11, 1.0 / 13,
                                 1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21);
  return whole * 0.69314718055994531 + 2.0 * (s + s * s * s * series);
}

// exp(x) for |x| < 700: 2^n exp(r) with |r| <= ln(2) / 2, by Taylor's series.
inline dvec exp_of(dvec x) {
  constexpr double magic = 6755399441055744.0;  // 1.5 * 2^52: the sum has no fraction bits left
  const dvec sum = x * 1.4426950408889634 + magic, n = sum - magic;
  const dvec r = x - n * 0.693147180369123816490 - n * 1.90821492927058770002e-10;
  const dvec power = polynomial(r, 1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720,
                                1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800,
                                1.0 / 39916800, 1.0 / 479001600);
  return (dvec)((lvec)power + ((lvec)sum << 52));
}

}  // namespace

void product(const Product& of) {
  dvec sum{}, sums[Product::kMostExperts] = {}, logs[Product::kMostExperts];
  for (Index k = 0; k < of.outputs; k += kWide) {
    const int n = static_cast<int>(std::min<Index>(kWide, of.outputs - k));
    dvec power{};
    for (Index e = 0; e < of.experts; ++e) {
      const dvec p = load(of.p + e * of.outputs + k, n), least = all(of.least);
      logs[e] = log_of(p > least ? p : least);
      power += of.exponents[e] * logs[e];
    }
    dvec each = exp_of(power);
    for (int i = n; i < kWide; ++i) each[i] = 0;
    store(of.product + k, each, n);
    sum += each;
    for (Index e = 0; e < of.experts; ++e) sums[e] += each * logs[e];
  }
  const double whole = total(sum);
  for (Index k = 0; k < of.outputs; ++k) of.product[k] /= whole;
  for (Index e = 0; e < of.experts; ++e) of.means[e] = total(sums[e]) / whole;
}

}  // namespace carrousel::CARROUSEL_ISA
