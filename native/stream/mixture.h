// Online mixtures of forecasts, and running scales that an outlier cannot spoil.
#pragma once

#include <algorithm>
#include <cmath>

#include "common/carrousel.h"

namespace carrousel {

constexpr double kFade = 0.9995;        // factor of old regrets at each forecast
constexpr double kMostRegret = 5;       // of one forecast, in mean absolute errors
constexpr double kScaleRows = 250;      // time constant of mean absolute errors
constexpr double kMostGrowth = 5;       // of one value in a mean absolute error

// A running mean of absolute values, to which a value adds at most kMostGrowth times the mean.
struct Size {
  double mean = 0, seen = 0;

  void count(double x) {
    seen = std::min(seen + 1, kScaleRows);
    const double size = std::abs(x);
    mean += ((mean > 0 ? std::min(size, kMostGrowth * mean) : size) - mean) / seen;
  }
  double unit() const { return mean > 0 ? mean : 1; }
};

// The regret of a mixture towards one of its forecasts: its discounted sum, the sum of squares, and
// the largest. The rate of learning of each forecast follows from the last two.
struct Regret {
  double sum = 0, squares = 0, most = 0;

  void count(double r) {
    r = std::clamp(r, -kMostRegret, kMostRegret);
    sum = kFade * sum + r, squares = kFade * squares + r * r, most = std::max(most, std::abs(r));
  }
  double rate(Index n) const {
    if (!(most > 0)) return 1;
    return std::min(0.5 / most, std::sqrt(std::log(static_cast<double>(n) + 1) / squares));
  }
};

// weights [n], which sum to 1, of n forecasts: exponential in their regrets, with a rate each.
inline void mixture_weights(const Regret* regrets, Index n, double* weights) {
  double most = -1e300, sum = 0;
  for (Index i = 0; i < n; ++i) {
    weights[i] = regrets[i].rate(n) * regrets[i].sum;
    most = std::max(most, weights[i]);
  }
  for (Index i = 0; i < n; ++i) {
    weights[i] = regrets[i].rate(n) * std::exp(weights[i] - most);
    sum += weights[i];
  }
  for (Index i = 0; i < n; ++i) weights[i] /= sum;
}

// Learns that the value was y. The loss is the absolute error, made smooth near zero (Huber).
inline void count_regrets(Regret* regrets, const double* forecasts, Index n, double mixed, double y,
                          double unit) {
  const double slope = std::clamp((mixed - y) / unit, -1.0, 1.0);
  for (Index i = 0; i < n; ++i) regrets[i].count(slope * (mixed - forecasts[i]) / unit);
}

}  // namespace carrousel
