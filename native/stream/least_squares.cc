// Inner loops of the expert rules for one instruction set.
#include "stream/least_squares.h"

#include <algorithm>
#include <cmath>

#include "sequence/vector.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr double kMostVariance = 1e4;  // of one weight: bounds the gain

double product(const double* a, const double* b, Index n) {
  constexpr Index lanes = kLanes<double>;
  Vec<double> sum{};
  Index i = 0;
  for (; i + lanes <= n; i += lanes) sum += load(a + i) * load(b + i);
  double rest = 0;
  for (; i < n; ++i) rest += a[i] * b[i];
  return total(sum) + rest;
}

// Scales row and column i of the inverse so that its diagonal entry is at most kMostVariance. Only a
// weight whose regressor has long been zero is concerned; the others go on forgetting.
void limit(double* inverse, Index i, Index n, Index stride) {
  const double variance = inverse[i * stride + i];
  if (!(variance > kMostVariance)) return;
  const double factor = std::sqrt(kMostVariance / variance);
  for (Index j = 0; j < n; ++j) inverse[i * stride + j] *= factor, inverse[j * stride + i] *= factor;
}

void learn(double* inverse, double* weights, const double* x, double error, double keep,
           double prior, Index n, Index stride, double* gain) {
  constexpr Index lanes = kLanes<double>;
  double below = keep;
  for (Index i = 0; i < n; ++i) gain[i] = product(inverse + i * stride, x, n);
  std::fill(gain + n, gain + stride, 0.0);
  for (Index i = 0; i < n; ++i) below += gain[i] * x[i];
  if (!(below >= keep) || !std::isfinite(below)) {  // rounding has spoilt the inverse
    for (Index i = 0; i < n; ++i) std::fill_n(inverse + i * stride, n, 0.0);
    for (Index i = 0; i < n; ++i) inverse[i * stride + i] = prior;
    return;
  }
  const double step = error / below, over = 1 / below, faded = 1 / keep;
  for (Index i = 0; i < n; ++i) {
    weights[i] += step * gain[i];
    // Entries (i, j) and (j, i) must round alike: a difference would grow by `faded` at each step
    // (Verhaegen 1989). So products commute, and padding is computed too instead of a scalar rest.
    double* const row = inverse + i * stride;
    for (Index j = 0; j < n; j += lanes)
      store(row + j,
            (load(row + j) - all(gain[i]) * load(gain + j) * all(over)) * all(faded));
  }
  for (Index i = 0; i < n; ++i) limit(inverse, i, n, stride);
}

void distances(const double* past, double y, double unit, double most, double fade, Index n,
               double* sums, double* counts) {
  const double scale = 1 / unit;
  for (Index j = 0; j < n; ++j) {
    const double d = std::abs(y - past[j]) * scale;
    sums[j] = fade * sums[j] + (d < most ? d : most);
    counts[j] = fade * counts[j] + 1;
  }
}

}  // namespace

#define CARROUSEL_STRINGIFY_(x) #x
#define CARROUSEL_STRINGIFY(x) CARROUSEL_STRINGIFY_(x)

extern const RuleKernels rule_kernels;
const RuleKernels rule_kernels = {CARROUSEL_STRINGIFY(CARROUSEL_ISA), product, learn, distances};

}  // namespace carrousel::CARROUSEL_ISA
