// Any-time nets, one row per call. Vectors of four floats exist on all processors; most of the time
// is spent in the LSTM, which has a kernel for each instruction set.
#include "step/live.h"

#include <algorithm>
#include <cmath>

#include "common/refuse.h"

namespace carrousel {
namespace {

constexpr Index kLanes = 4, kBlock = 4;  // floats of a vector, vectors of a block
constexpr double kFarthest = 1e15;       // as in estimators/net/features.py
typedef float Four __attribute__((vector_size(16)));
typedef float Loose __attribute__((vector_size(16), aligned(4), may_alias));

Four load(const float* from) { return *reinterpret_cast<const Loose*>(from); }
void store(float* to, Four x) { *reinterpret_cast<Loose*>(to) = x; }

template <int n>
void columns_times(const float* w, Index stride, const float* a, Index depth, const float* start,
                   float* c) {
  Four sums[n];
  for (int v = 0; v < n; ++v) sums[v] = load(start + v * kLanes);
  for (Index j = 0; j < depth; ++j, w += stride) {
    if (a[j] == 0.0f) continue;
    const Four factor = a[j] - Four{};
    for (int v = 0; v < n; ++v) sums[v] += factor * load(w + v * kLanes);
  }
  for (int v = 0; v < n; ++v) store(c + v * kLanes, sums[v]);
}

}  // namespace

Columns::Columns(Index width, Index depth, const float* w)
    : depth_(depth),
      padded_((width + kLanes - 1) / kLanes * kLanes),
      w_(static_cast<std::size_t>(padded_ * depth)) {
  for (Index i = 0; i < width; ++i)
    for (Index j = 0; j < depth; ++j)
      w_[static_cast<std::size_t>(j * padded_ + i)] = w[i * depth + j];
}

void Columns::product(const float* a, const float* start, float* c) const {
  for (Index i = 0; i < padded_;) {
    const float* const w = w_.data() + i;
    switch (std::min(kBlock, (padded_ - i) / kLanes)) {
      case 4: columns_times<4>(w, padded_, a, depth_, start + i, c + i), i += 16; break;
      case 3: columns_times<3>(w, padded_, a, depth_, start + i, c + i), i += 12; break;
      case 2: columns_times<2>(w, padded_, a, depth_, start + i, c + i), i += 8; break;
      default: columns_times<1>(w, padded_, a, depth_, start + i, c + i), i += 4;
    }
  }
}

void LiveFeatures::reset() {
  const std::size_t n = mean.size();
  z_.assign(n, 0.0), carried_.assign(n, 0.0), seen_at_.assign(n, -1.0);
  since_ = -1;
}

// The number of usual steps since the first row.
double LiveFeatures::since(const double* time) const {
  if (time && !std::isfinite(*time)) refuse("time is ", *time, ", expected a finite number");
  const bool first = since_ < 0;
  if (!time || !timed) return first ? 0 : since_ + 1;
  if (first) return 0;
  if (!(*time > time_))
    refuse("time is ", *time, " after ", time_, ", expected a larger number");
  return (*time - start_) / unit;
}

template <class Real>
void LiveFeatures::row(const Real* values, const double* time, float* into) {
  const Index n = channels();
  bool gap = false;
  for (Index i = 0; i < n; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const double value = static_cast<double>(values[i]);
    if (std::isinf(value)) refuse("row has an infinite value in channel ", i);
    z_[k] = (value - mean[k]) / scale[k];
    if (std::abs(z_[k]) > kFarthest)
      refuse("row has ", value, " in channel ", i, ", more than 1e15 standard deviations from the "
             "mean of training");
    gap |= std::isnan(value);
  }
  const double now = since(time);
  for (Index i = 0; i < n; ++i) {
    const auto k = static_cast<std::size_t>(i);
    if (!gap || !std::isnan(z_[k])) carried_[k] = z_[k], seen_at_[k] = now;
    into[i] = static_cast<float>(carried_[k]);
    into[n + i] = gap ? static_cast<float>(std::log1p(now - seen_at_[k])) : 0.0f;
  }
  if (timed) {
    const double gone = since_ < 0 ? 0 : std::max(now - since_, 0.0);
    into[2 * n] = static_cast<float>(std::log1p(gone));
    if (time && since_ < 0) start_ = *time;
    if (time) time_ = *time;
    else if (since_ < 0) start_ = 0, time_ = 0;
    else time_ = start_ + now * unit;
  }
  since_ = now;
}

template void LiveFeatures::row(const double*, const double*, float*);
template void LiveFeatures::row(const float*, const double*, float*);

void LiveNet::prepare() {
  ring_.resize(static_cast<std::size_t>(span() * width));
  taps_.resize(static_cast<std::size_t>(window * width));
  filtered_.resize(bias.size());
  joint_.resize(static_cast<std::size_t>(2 * states + inner));
  sums_.resize(static_cast<std::size_t>(states + inner));
  outputs.resize(readout_bias.size());
  reset();
}

void LiveNet::reset() {
  std::fill(ring_.begin(), ring_.end(), 0.0f);
  std::fill(sums_.begin(), sums_.end(), 0.0);
  at_ = rows_ = 0;
}

void LiveNet::convolve(const float* x) {
  std::copy_n(x, width, ring_.data() + at_ * width);
  at_ = at_ + 1 < span() ? at_ + 1 : 0;  // now the oldest row, which is the first tap
  Index row = at_;
  for (Index tap = 0; tap < window; ++tap) {
    std::copy_n(ring_.data() + row * width, width, taps_.data() + tap * width);
    row += dilation;
    if (row >= span()) row -= span();
  }
  float* const y = filtered_.data();
  filters.product(taps_.data(), bias.data(), y);
  const Index n = filter_count();
  double squares = 0;
  for (Index i = 0; i < n; ++i) squares += static_cast<double>(y[i]) * y[i];
  const float size = static_cast<float>(1 / std::sqrt(squares / static_cast<double>(n) + epsilon));
  for (Index i = 0; i < n; ++i) {
    const auto k = static_cast<std::size_t>(i);
    y[i] = std::max(y[i] * size * gain[k] + shift[k], 0.0f);
  }
}

void LiveNet::run(const float* inputs, Index symbol) {
  const float* const given = embedding.empty() ? inputs : embedding.data() + symbol * width;
  if (window) convolve(given);
  float* const x = step->in;
  std::copy_n(given, width, std::copy_n(filtered_.data(), filter_count(), x));
  kernel->run(*step);
  const float* const h = step->out;
  const double share = 1.0 / static_cast<double>(++rows_);
  float* const means = joint_.data() + states;
  const auto add = [&](Index k, float value) {
    double& sum = sums_[static_cast<std::size_t>(k)];
    sum += value;
    means[k] = static_cast<float>(sum * share);
  };
  for (Index i = 0; i < states; ++i) joint_[static_cast<std::size_t>(i)] = h[i], add(i, h[i]);
  for (Index i = 0; i < inner; ++i) add(states + i, x[i]);
  readout.product(joint_.data(), readout_bias.data(), outputs.data());
}

void mean_softmax(const std::vector<LiveNet>& nets, Index n, double temperature, double* p,
                  double* room) {
  std::fill_n(p, n, 0.0);
  for (const LiveNet& net : nets) {
    const float* const z = net.outputs.data();
    const double largest = *std::max_element(z, z + n);
    double sum = 0;
    for (Index i = 0; i < n; ++i) sum += room[i] = std::exp((z[i] - largest) / temperature);
    for (Index i = 0; i < n; ++i) p[i] += room[i] / (sum * static_cast<double>(nets.size()));
  }
}

}  // namespace carrousel
