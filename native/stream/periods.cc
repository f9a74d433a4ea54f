// The search for periods of a target's history.
#include "stream/rules.h"

#include <algorithm>
#include <cstdlib>

namespace carrousel {
namespace {

constexpr double kPeriodFade = 0.999, kMostDistance = 10, kPeriodRows = 32, kBetter = 0.9;
constexpr Index kPeriodEvery = 64;  // rows between two searches
constexpr Index kApart = 2;         // rows by which two periods differ at least, less one

}  // namespace

// Adds value y of row `row` to the mean distances between values a number of rows apart.
void Rules::seek(Index stream, Index v, Index row_of, double y) {
  const Index longest = settings_.longest;
  double* const sums = distances_.data() + 2 * v * longest;
  const double unit = reinterpret_cast<Size*>(key(stream) + key_.change)[v].unit();
  // Entry j is of lag longest - j, so that the history, from the oldest on, runs along it.
  const Index n = std::min(longest, row_of), first = row_of - n;
  for (Index done = 0; done < n;) {
    const Index row_now = first + done, here = std::min(n - done, span_ - row_now % span_);
    const Index j = longest - n + done;
    kernels_.distances(&past(stream, v, row_now), y, unit, kMostDistance, kPeriodFade, here,
                       sums + j, sums + longest + j);
    done += here;
  }
  if ((row_of + 1) % kPeriodEvery == 0) choose(v);
}

// Chooses the two best periods: lags whose mean distance is a minimum. A period found is kept until
// another is clearly better.
void Rules::choose(Index v) {
  const Index longest = settings_.longest;
  const double* const sums = distances_.data() + 2 * v * longest;
  const auto distance = [&](Index lag) {
    const Index j = longest - lag;
    return sums[longest + j] >= kPeriodRows ? sums[j] / sums[longest + j] : 1e300;
  };
  double* const kept = periods_.data() + 2 * v;
  for (Index slot = 0; slot < 2; ++slot) {
    const Index other = static_cast<Index>(kept[1 - slot]), now = static_cast<Index>(kept[slot]);
    Index best = 0;
    for (Index lag = 2; lag < longest; ++lag) {
      const double d = distance(lag);
      const bool near_other = other && std::abs(lag - other) <= kApart;
      if (!near_other && d <= distance(lag - 1) && d < distance(lag + 1) &&
          (!best || d < distance(best)))
        best = lag;
    }
    if (best && best != now && (!now || distance(best) < kBetter * distance(now)))
      kept[slot] = static_cast<double>(best), forget_period(v, slot);
  }
}

// The weights of least squares for a slot start afresh, as another period is in it.
void Rules::forget_period(Index v, Index slot) {
  for (Index h = 0; h < settings_.leads; ++h)
    for (Index fit = 0; fit < std::min<Index>(settings_.fitted(), 2); ++fit) {
      const Index k = v * settings_.leads + h, i = settings_.lags - 1 + slot;
      weights(k, fit)[i] = 0;
      double* const P = inverse(k, fit);
      for (Index j = 0; j < width_; ++j) P[i * width_ + j] = P[j * width_ + i] = 0;
      P[i * width_ + i] = kPriorVariance;
    }
}

}  // namespace carrousel
