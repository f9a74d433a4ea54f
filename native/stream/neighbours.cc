#include "stream/neighbours.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/refuse.h"

namespace carrousel {
namespace {

constexpr double kOffset = 0.1;   // of relative distances: the nearest has at most 11 times the
                                  // weight of the farthest
constexpr double kLargest = 1e15; // of inputs: the sum of squared distances is finite

float bounded(double x) {
  return std::isnan(x) ? 0 : static_cast<float>(std::clamp(x, -kLargest, kLargest));
}

}  // namespace

Neighbours::Neighbours(Index inputs, Index values, Index streams, Index rows, Index k,
                       DistanceKernel* distances)
    : inputs_(inputs), values_(values), rows_(rows), k_(k),
      stride_((rows + Distances::kAtOnce - 1) / Distances::kAtOnce * Distances::kAtOnce),
      distances_(distances) {
  if (inputs < 1 || inputs > Index{1} << 20 || values < 1 || values > Index{1} << 20)
    refuse("neighbours have ", inputs, " inputs and ", values, " targets, expected 1 to 2^20");
  if (rows < 1 || rows > Index{1} << 20) refuse("rows is ", rows, ", expected 1 to 2^20");
  if (k < 1 || k > rows) refuse("neighbours is ", k, ", expected 1 to ", rows, ", the rows");
  if (streams < 1 || streams > Index{1} << 24)
    refuse("neighbours of ", streams, " streams, expected 1 to 2^24");
  if (static_cast<double>(stride_) * static_cast<double>(inputs + values) > 1e9 ||
      static_cast<double>(streams) * static_cast<double>(inputs) > 1e10)
    refuse("rows would take gigabytes; use fewer rows, streams or inputs");
  table_ = Buffer<float>(inputs * stride_), apart_ = Buffer<float>(stride_);
  x_ = Buffer<float>(inputs);
  std::fill_n(table_.data(), inputs * stride_, 0.0f), std::fill_n(x_.data(), inputs, 0.0f);
  pending_.resize(static_cast<std::size_t>(streams * inputs));
  targets_.resize(static_cast<std::size_t>(rows * values));
  near_.reserve(static_cast<std::size_t>(k) + 1);
}

Index Neighbours::filled() const {
  return static_cast<Index>(std::min(learned, static_cast<double>(rows_)));
}

const std::vector<Neighbours::Near>& Neighbours::look(const double* x) {
  std::transform(x, x + inputs_, x_.data(), bounded);
  const Index rows = filled();
  near_.clear();
  if (!rows) return near_;
  distances_({rows, stride_, inputs_, table_.data(), x_.data(), apart_.data()});
  select(rows);
  const double farthest = near_.back().weight;
  for (Near& near : near_)
    near.weight = 1 / (kOffset + (farthest > 0 ? std::sqrt(near.weight / farthest) : 0));
  return near_;
}

// Lists the k rows of the smallest distances, with squared distances for weights.
void Neighbours::select(Index rows) {
  constexpr Index block = Distances::kAtOnce;
  const float* const apart = apart_.data();
  const auto k = static_cast<std::size_t>(k_);
  float farthest = std::numeric_limits<float>::infinity();  // once there are k
  std::fill_n(apart_.data() + rows, stride_ - rows, farthest);
  for (Index first = 0; first < rows; first += block) {
    int nearer = 0;
    for (Index row = first; row < first + block; ++row) nearer |= apart[row] < farthest;
    for (Index row = first; nearer && row < std::min(first + block, rows); ++row) {
      if (!(apart[row] < farthest)) continue;
      if (near_.size() == k) near_.pop_back();
      near_.push_back({row, static_cast<double>(apart[row])});
      for (std::size_t i = near_.size() - 1; i && near_[i].weight < near_[i - 1].weight; --i)
        std::swap(near_[i], near_[i - 1]);
      if (near_.size() == k) farthest = static_cast<float>(near_.back().weight);
    }
  }
}

double Neighbours::mean(const double* x, double* to) {
  double sum = 0;
  std::fill_n(to, values_, 0.0);
  for (const auto& [row, weight] : look(x)) {
    sum += weight;
    for (Index v = 0; v < values_; ++v) to[v] += weight / sum * (target(row)[v] - to[v]);
  }
  return sum;
}

void Neighbours::keep(Index stream) {
  std::copy_n(x_.data(), inputs_, pending_.begin() + stream * inputs_);
}

void Neighbours::learn(Index stream, const double* target) {
  const Index row = static_cast<Index>(std::fmod(learned, static_cast<double>(rows_)));
  const float* const x = pending_.data() + stream * inputs_;
  for (Index i = 0; i < inputs_; ++i) at(row, i) = x[i];
  std::copy_n(target, values_, targets_.begin() + row * values_);
  learned += 1;
}

void Neighbours::copy(Index from, Index to) {
  if (from != to)
    std::copy_n(pending_.begin() + from * inputs_, inputs_, pending_.begin() + to * inputs_);
}

std::size_t Neighbours::bytes() const {
  return static_cast<std::size_t>((inputs_ + 1) * stride_ + inputs_) * sizeof(float) +
         pending_.size() * sizeof(float) + targets_.size() * sizeof(double) +
         near_.capacity() * sizeof(Near);
}

void Neighbours::read_pending(Index stream, double* to) const {
  std::copy_n(pending_.begin() + stream * inputs_, inputs_, to);
}

void Neighbours::write_pending(Index stream, const double* from) {
  std::transform(from, from + inputs_, pending_.begin() + stream * inputs_, bounded);
}

void Neighbours::read_rows(double* to) const {
  for (Index row = 0; row < rows_; ++row) {
    to = std::copy_n(target(row), values_, to);
    for (Index i = 0; i < inputs_; ++i) *to++ = at(row, i);
  }
}

void Neighbours::write_rows(const double* from, Index classes) {
  for (Index row = 0; row < rows_; ++row) {
    for (Index v = 0; v < values_; ++v) {
      const double target = *from++;
      targets_[static_cast<std::size_t>(row * values_ + v)] =
          classes ? std::floor(std::clamp(target, 0.0, static_cast<double>(classes - 1))) : target;
    }
    for (Index i = 0; i < inputs_; ++i) at(row, i) = bounded(*from++);
  }
}

}  // namespace carrousel
