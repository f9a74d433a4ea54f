// Inner loops of the expert rules for one instruction set.
#include "stream/least_squares.h"

#include <algorithm>
#include <cmath>

#include "sequence/vector.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr double kMostTrace = 1e4;  // of the inverse, for each weight: bounds the gain

double product(const double* a, const double* b, Index n) {
  constexpr Index lanes = kLanes<double>;
  Vec<double> sum{};
  Index i = 0;
  for (; i + lanes <= n; i += lanes) sum += load(a + i) * load(b + i);
  double rest = 0;
  for (; i < n; ++i) rest += a[i] * b[i];
  return total(sum) + rest;
}

void learn(double* inverse, double* weights, const double* x, double error, double keep, Index n,
           Index stride, double* gain) {
  constexpr Index lanes = kLanes<double>;
  double below = keep;
  for (Index i = 0; i < n; ++i) gain[i] = product(inverse + i * stride, x, n);
  for (Index i = 0; i < n; ++i) below += gain[i] * x[i];
  if (!(below > 0) || !std::isfinite(below)) return;
  const double step = error / below, faded = 1 / keep;
  double trace = 0;
  for (Index i = 0; i < n; ++i) {
    weights[i] += step * gain[i];
    double* const row = inverse + i * stride;
    const double part = gain[i] / below;
    Index j = 0;
    for (; j + lanes <= n; j += lanes)
      store(row + j, (load(row + j) - all(part) * load(gain + j)) * all(faded));
    for (; j < n; ++j) row[j] = (row[j] - part * gain[j]) * faded;
    trace += row[i];
  }
  const double most = kMostTrace * static_cast<double>(n);
  if (!(trace > most)) return;
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) inverse[i * stride + j] *= most / trace;
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
