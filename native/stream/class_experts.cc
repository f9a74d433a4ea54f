#include "stream/class_experts.h"

#include <algorithm>
#include <cmath>

#include "common/refuse.h"

namespace carrousel {
namespace {

constexpr double kForget = 1e-3;   // of counts of classes at each step
constexpr double kUnseen = 0.5;    // count of a class that never occurred
constexpr double kPrior = 2;       // weight of the frequencies among classes after another
constexpr double kVote = 1;        // and among votes of neighbours
constexpr double kMostCount = 1e9;

Index count_of(const ClassExpertSettings& s) { return 2 + (s.order > 0) + s.last + (s.rows > 0); }

double total(const double* x, Index n) {
  double sum = 0;
  for (Index i = 0; i < n; ++i) sum += x[i];
  return sum;
}

const ClassExpertSettings& checked(const ClassExpertSettings& s) {
  if (s.classes < 1 || s.classes > Index{1} << 20)
    refuse("classes is ", s.classes, ", expected 1 to 2^20");
  if (s.streams < 1 || s.streams > Index{1} << 24)
    refuse("streams is ", s.streams, ", expected 1 to 2^24");
  if (s.order < 0 || s.rows < 0) refuse("order and rows must be at least 0");
  return s;
}

}  // namespace

ClassExperts::ClassExperts(const ClassExpertSettings& s, const StreamKernels& kernels)
    : settings_(checked(s)), experts_(count_of(s)),
      contexts_(s.order ? std::make_unique<Contexts>(s.classes, s.streams, s.order, s.places)
                        : nullptr),
      neighbours_(s.rows ? std::make_unique<Neighbours>(s.inputs, 1, s.streams, s.rows,
                                                        s.neighbours, kernels.distances)
                         : nullptr),
      mixture_(experts_, s.classes, s.streams, contexts_ ? contexts_->classes() : 1,
               s.order ? 0.02 : 0.1, s.order ? 0.003 : 0.02,
               kernels.product),
      counts_(static_cast<std::size_t>(s.classes)),
      after_(s.last ? static_cast<std::size_t>(followed() * followed()) : 0),
      last_(s.last ? static_cast<std::size_t>(s.streams) : 0, -1.0), prior_(counts_.size()) {}

void ClassExperts::frequencies(double* to) const {
  const Index O = settings_.classes;
  const double sum = total(counts_.data(), O) + kUnseen * static_cast<double>(O);
  for (Index k = 0; k < O; ++k) to[k] = (counts_[static_cast<std::size_t>(k)] + kUnseen) / sum;
}

void ClassExperts::followers(Index stream, double* to) const {
  const Index R = followed();
  const auto last = static_cast<Index>(last_[static_cast<std::size_t>(stream)]);
  std::copy(prior_.begin(), prior_.end(), to);
  if (last < 0 || last >= R) return;
  const double* const row = after_.data() + last * R;
  const double sum = total(row, R) + kPrior;
  for (Index k = 0; k < settings_.classes; ++k)
    to[k] = ((k < R ? row[k] : 0) + kPrior * to[k]) / sum;
}

void ClassExperts::votes(const double* x, double* to) {
  const Index O = settings_.classes;
  for (Index k = 0; k < O; ++k) to[k] = kVote * prior_[static_cast<std::size_t>(k)];
  double sum = kVote;
  for (const auto& [row, weight] : neighbours_->look(x))
    to[static_cast<Index>(*neighbours_->target(row))] += weight, sum += weight;
  for (Index k = 0; k < O; ++k) to[k] /= sum;
}

void ClassExperts::look(Index stream, Index symbol, const double* x, const double* net,
                        double* mixed) {
  Index e = 0, set = 0;
  std::copy_n(net, settings_.classes, mixture_.expert(e++));
  frequencies(prior_.data());
  if (contexts_) {
    symbol_ = symbol;
    set = contexts_->look(stream, symbol, mixture_.expert(e), mixture_.expert(e + 1));
    e += 2;
  } else {
    std::copy(prior_.begin(), prior_.end(), mixture_.expert(e++));
  }
  if (settings_.last) followers(stream, mixture_.expert(e++));
  if (neighbours_) votes(x, mixture_.expert(e++));
  mixture_.look(set, mixed);
}

void ClassExperts::keep(Index stream) {
  mixture_.keep(stream);
  if (contexts_) contexts_->keep(stream, symbol_);
  if (neighbours_) neighbours_->keep(stream);
}

void ClassExperts::learn(Index stream, Index target, double weight) {
  if (!(weight > 0)) return;
  const Index R = followed();
  mixture_.learn(stream, target, weight);
  const auto count = [&](double* counts, Index n) {
    for (Index k = 0; k < n; ++k) counts[k] *= 1 - kForget;
    counts[target] = std::min(counts[target] + weight, kMostCount);
  };
  if (!contexts_ || settings_.last || neighbours_) count(counts_.data(), settings_.classes);
  if (contexts_) contexts_->learn(stream, target);
  if (settings_.last) {
    double& last = last_[static_cast<std::size_t>(stream)];
    if (last >= 0 && last < R && target < R) count(after_.data() + static_cast<Index>(last) * R, R);
    last = static_cast<double>(target);
  }
  const auto label = static_cast<double>(target);
  if (neighbours_) neighbours_->learn(stream, &label);
}

void ClassExperts::reset(Index stream) {
  mixture_.reset(stream);
  if (contexts_) contexts_->reset(stream);
  if (settings_.last) last_[static_cast<std::size_t>(stream)] = -1;
}

void ClassExperts::copy(Index from, Index to) {
  mixture_.copy(from, to);
  if (contexts_) contexts_->copy(from, to);
  if (neighbours_) neighbours_->copy(from, to);
  if (settings_.last) last_[static_cast<std::size_t>(to)] = last_[static_cast<std::size_t>(from)];
}

std::size_t ClassExperts::bytes() const {
  return mixture_.bytes() + (contexts_ ? contexts_->bytes() : 0) +
         (neighbours_ ? neighbours_->bytes() : 0) +
         (counts_.size() + after_.size() + last_.size() + prior_.size()) * sizeof(double);
}

}  // namespace carrousel
