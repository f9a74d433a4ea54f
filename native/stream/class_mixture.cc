#include "stream/class_mixture.h"

#include <algorithm>
#include <cmath>

#include "common/refuse.h"

namespace carrousel {
namespace {

constexpr double kShare = 5e-4;       // of the weights that is redistributed
constexpr double kLeast = 1e-6;       // smaller probabilities count as this in the product
constexpr double kTiny = 1e-300;      // and as this in weights
constexpr double kLeastExponent = -1, kMostExponent = 2;
constexpr double kMostSteps = 1e15;

}  // namespace

void bound_shares(std::vector<double>& shares) {
  double sum = 0;
  for (double& share : shares) sum += share = std::clamp(share, 1e-9, 1.0);
  if (std::abs(sum - 1) < 1e-9) return;  // so that a good state continues to the last bit
  for (double& share : shares) share /= sum;
}

Mixture::Mixture(Index experts, Index outputs, Index streams, Index sets, double rate, double least,
                 ProductKernel* product)
    : experts_(experts), outputs_(outputs), sets_(sets), rate_(rate), least_(least),
      product_(product) {
  const double numbers = static_cast<double>(streams) * static_cast<double>(experts + 1) *
                         static_cast<double>(outputs + 1);
  if (numbers > 1e10)
    refuse("predictions of experts would take gigabytes; use fewer streams or classes");
  const auto E = static_cast<std::size_t>(experts);
  weights.assign(E + 1, 1 / static_cast<double>(experts + 1));
  for (Index set = 0; set < sets; ++set) {
    exponents.insert(exponents.end(), E, 1 / static_cast<double>(experts));
    exponents.push_back(0);
  }
  next_.resize((E + 1) * static_cast<std::size_t>(outputs)), next_means_.resize(E + 1);
  probabilities.resize(next_.size() * static_cast<std::size_t>(streams));
  means.resize((E + 1) * static_cast<std::size_t>(streams));
  for (Index stream = 0; stream < streams; ++stream) reset(stream);
}

void Mixture::look(Index set, double* mixed) {
  product_({experts_, outputs_, expert(0), exponents.data() + set * (experts_ + 1), kLeast,
            expert(experts_), next_means_.data()});
  next_means_.back() = static_cast<double>(set);
  std::fill_n(mixed, outputs_, 0.0);
  for (Index e = 0; e <= experts_; ++e)
    for (Index k = 0; k < outputs_; ++k)
      mixed[k] += weights[static_cast<std::size_t>(e)] * expert(e)[k];
}

void Mixture::keep(Index stream) {
  std::copy(next_.begin(), next_.end(),
            probabilities.begin() + stream * static_cast<Index>(next_.size()));
  std::copy(next_means_.begin(), next_means_.end(), means.begin() + stream * (experts_ + 1));
}

void Mixture::learn(Index stream, Index target, double weight) {
  const double* const p = probabilities.data() + stream * static_cast<Index>(next_.size()) + target;
  const double* const mean = means.data() + stream * (experts_ + 1);
  double sum = 0;
  for (Index e = 0; e <= experts_; ++e) {
    const double likely = std::max(p[e * outputs_], kTiny);
    sum += weights[static_cast<std::size_t>(e)] *= weight == 1 ? likely : std::pow(likely, weight);
  }
  for (double& w : weights)
    w = (1 - kShare) * w / sum + kShare / static_cast<double>(experts_ + 1);
  double* const w = exponents.data() + static_cast<Index>(mean[experts_]) * (experts_ + 1);
  const double rate = weight * std::max(least_, rate_ / std::sqrt(1 + w[experts_]++ / 100));
  for (Index e = 0; e < experts_; ++e) {
    const double slope = std::log(std::max(p[e * outputs_], kLeast)) - mean[e];
    w[e] = std::clamp(w[e] + rate * slope, kLeastExponent, kMostExponent);
  }
}

void Mixture::reset(Index stream) {
  const auto size = static_cast<Index>(next_.size());
  std::fill_n(probabilities.begin() + stream * size, size, 1 / static_cast<double>(outputs_));
  std::fill_n(means.begin() + stream * (experts_ + 1), experts_ + 1, 0.0);
}

void Mixture::copy(Index from, Index to) {
  if (from == to) return;
  const auto size = static_cast<Index>(next_.size());
  std::copy_n(probabilities.begin() + from * size, size, probabilities.begin() + to * size);
  std::copy_n(means.begin() + from * (experts_ + 1), experts_ + 1,
              means.begin() + to * (experts_ + 1));
}

std::size_t Mixture::bytes() const {
  return (weights.size() + exponents.size() + probabilities.size() + means.size() + next_.size() +
          next_means_.size()) * sizeof(double);
}

void Mixture::bound() {
  bound_shares(weights);
  for (std::size_t i = 0; i < exponents.size(); ++i) {
    const bool counts = (i + 1) % weights.size() == 0;
    exponents[i] = counts ? std::clamp(exponents[i], 0.0, kMostSteps)
                          : std::clamp(exponents[i], kLeastExponent, kMostExponent);
  }
}

void Mixture::bound(Index stream) {
  const auto size = static_cast<Index>(next_.size());
  for (Index i = stream * size; i < (stream + 1) * size; ++i) {
    double& p = probabilities[static_cast<std::size_t>(i)];
    p = std::clamp(p, 0.0, 1.0);
  }
  double* const mean = means.data() + stream * (experts_ + 1);
  for (Index e = 0; e < experts_; ++e) mean[e] = std::clamp(mean[e], std::log(kLeast), 0.0);
  mean[experts_] = std::floor(std::clamp(mean[experts_], 0.0, static_cast<double>(sets_ - 1)));
}

}  // namespace carrousel
