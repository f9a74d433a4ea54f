// Gaussians from words, by the method of Box and Muller (1958).
#pragma once

#include "common/simd.h"
#include "sample/sample.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// The natural logarithm of x 2^-24 for whole x from 1 to 2^24. The relative error is below 2e-7.
inline vec log_fraction(ivec x) {
  const ivec root_half = isplat(0x3f3504f3);  // the bits of sqrt(1/2)
  const ivec bits = (ivec)__builtin_convertvector(x, vec) + (isplat(0x3f800000) - root_half);
  const ivec exponent = (bits >> 23) - isplat(127 + 24);
  const vec f = (vec)((bits & isplat(0x007fffff)) + root_half) - splat(1.0f);  // exact
  vec p = splat(0.08734750747680664f);
  p = p * f + splat(-0.14307482540607452f);
  p = p * f + splat(0.14917989075183868f);
  p = p * f + splat(-0.165705144405365f);
  p = p * f + splat(0.19962070882320404f);
  p = p * f + splat(-0.25001755356788635f);
  p = p * f + splat(0.33333951234817505f);
  p = p * f + splat(-0.49999991059303284f);
  const vec log = f + (f * f) * p;
  return log + __builtin_convertvector(exponent, vec) * splat(0.693147182464599609375f);
}

// Cosine and sine of a whole circle times (2^24 quarter + fraction - 2^23) / 2^26, where the upper
// two bits of a word are the quarter and the next 24 the fraction. The errors are below 2e-7.
inline void cosine_and_sine(ivec words, vec& cosine, vec& sine) {
  const ivec fraction = ((words >> 6) & isplat(0x00ffffff)) - isplat(1 << 23);
  const vec x = __builtin_convertvector(fraction, vec) * splat(0x1p-24f);  // quarters of a circle
  const vec xx = x * x;
  vec s = splat(-0.00460165785625577f);
  s = s * xx + splat(0.07968003302812576f);
  s = s * xx + splat(-0.6459634900093079f);
  s = (s * xx + splat(1.5707963705062866f)) * x;
  vec c = splat(-0.020426249131560326f);
  c = c * xx + splat(0.2536063492298126f);
  c = c * xx + splat(-1.2336980104446411f);
  c = c * xx + splat(1.0f);
  const ivec sign = isplat(static_cast<std::int32_t>(0x80000000u));
  const ivec is_odd = (words & isplat(1 << 30)) != isplat(0);  // quarters 1 and 3
  // The cosine is negative in quarters 1 and 2, the sine in quarters 2 and 3.
  cosine = (vec)((ivec)(is_odd ? s : c) ^ ((words ^ (words << 1)) & sign));
  sine = (vec)((ivec)(is_odd ? c : s) ^ (words & sign));
}

// Values j and 64 + j of a panel come from its words j and 64 + j.
inline void normal_panel(const std::uint32_t* words, float deviation, float* values) {
  constexpr Index kPairs = kPanelWords / 2;
  const vec factor = splat(-2.0f * (deviation * deviation));
  for (Index j = 0; j < kPairs; j += V) {
    ivec first, second;
    std::memcpy(&first, words + j, sizeof first);
    std::memcpy(&second, words + kPairs + j, sizeof second);
    const ivec upper = (first >> 8) & isplat(0x00ffffff);
    const vec radius = root(factor * log_fraction(isplat(1 << 24) - upper));
    vec cosine, sine;
    cosine_and_sine(second, cosine, sine);
    const vec one = radius * cosine, other = radius * sine;
    std::memcpy(values + j, &one, sizeof one);
    std::memcpy(values + kPairs + j, &other, sizeof other);
  }
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
