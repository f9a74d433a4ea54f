// Inner loops of the expert rules: recursive least squares, and the search for periods.
#pragma once

#include <vector>

#include "common/carrousel.h"

namespace carrousel {

struct RuleKernels {
  const char* name;
  // Returns the sum of a[i] b[i], i < n.
  double (*product)(const double* a, const double* b, Index n);
  // Recursive least squares (Plackett 1950) of n weights. `inverse` [n, n], rows `stride` apart, is
  // the inverse of the discounted covariance of the regressors x [n]. Adds the gain times `error`
  // to `weights`, and forgets by `keep`. If the inverse is no longer positive, it becomes `prior` on
  // its diagonal. gain [n] is scratch memory.
  void (*learn)(double* inverse, double* weights, const double* x, double error, double keep,
                double prior, Index n, Index stride, double* gain);
  // For j < n: sums[j] = fade sums[j] + min(|y - past[j]| / unit, most), and counts[j] likewise.
  void (*distances)(const double* past, double y, double unit, double most, double fade, Index n,
                    double* sums, double* counts);
};

const std::vector<const RuleKernels*>& rule_kernels();

}  // namespace carrousel
