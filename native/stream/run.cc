#include "stream/run.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sequence/checks.h"
#include "common/refuse.h"
#include "common/signs.h"

namespace carrousel {
namespace {

constexpr double kLargest = 1e30;  // of inputs and targets: finite in float32
constexpr double kMostOdd = 5, kConfirmed = 8;  // of running scales
constexpr double kTrusted = 4;     // rows that a new key trusts the scale of the others for

// Class or symbol x as an index below n; -1 if it is not one.
Index whole(double x, Index n) {
  if (!(x >= 0 && x < static_cast<double>(n)) || x != std::floor(x)) return -1;
  return static_cast<Index>(x);
}

}  // namespace

void Running::count(double x, double horizon) {
  double d = x - mean;
  const double most = kMostOdd * std::sqrt(variance);
  if (variance > 0 && std::abs(d) > most) {
    if (++odd < kConfirmed) d = std::copysign(most, d);
    else odd = 0, seen = std::min(seen, kConfirmed);
  } else {
    odd = 0;
  }
  seen += 1;
  const double a = 1 / (horizon > 0 ? std::min(seen, horizon) : seen);
  mean += a * d;
  variance = (1 - a) * (variance + a * d * d);
}

double Running::deviation() const { return variance > 0 ? std::sqrt(variance) : 1; }

namespace {

// Hands out parts of a block of memory, each on a cache line. Without memory it only counts.
template <class Real>
struct Places {
  Real* memory;
  Index size = 0;

  Real* take(Index n) {
    Real* const here = memory ? memory + size : nullptr;
    size += stream_width<Real>(n) + 3 * kLine<Real>;  // avoids cache conflicts of equal arrays
    return here;
  }
  StreamRows<Real> rows(Index count, Index n, Optimizer optimizer) {
    const Index parts =
        optimizer == Optimizer::sgd ? 1 : optimizer == Optimizer::rmsprop ? 2 : 3;
    const Index width = stream_width<Real>(n), distance = stream_stride<Real>(n, parts);
    Real* const at = take(count * distance);
    return {at, at && parts > 2 ? at + 2 * width : nullptr, at && parts > 1 ? at + width : nullptr,
            distance};
  }
  StreamState<Real> state(const StreamNet<Real>& net, bool kept) {
    const StreamShape& shape = net.shape;
    const Index C = shape.cells(), S_stride = stream_stride<Real>(shape.sources());
    StreamState<Real> found{};
    found.y = take(shape.units()), found.s = take(C), found.h = take(C);
    found.sources = take(shape.sources()), found.out = take(shape.outputs);
    found.kept = take(C), found.gain_in = take(C), found.gain_forget = take(C);
    found.gain_cell = take(C);
    if (!kept) return found;
    if (net.rule == Rule::truncated) found.traces = take(shape.traces() * C * S_stride);
    if (net.rule == Rule::rtrl) found.sensitivities = take(stream_rows(net) * S_stride);
    if (net.rule == Rule::uoro)
      found.q = take(shape.units() + C), found.w = take(shape.units() * S_stride);
    return found;
  }
};

template <class Real>
Index lay_out(StreamNet<Real>& net, Real* memory) {
  const StreamShape& shape = net.shape;
  Places<Real> at{memory};
  const Index S_stride = stream_stride<Real>(shape.sources());
  const Index seen_stride = stream_stride<Real>(shape.seen());
  net.hidden = at.rows(shape.units(), shape.sources(), shape.optimizer);
  net.output = at.rows(shape.outputs, shape.seen(), shape.optimizer);
  net.x = at.take(shape.inputs), net.net = at.take(shape.units());
  net.gates = at.take(3 * shape.cells());
  net.seen = at.take(seen_stride), net.back = at.take(seen_stride);
  net.errors = at.take(shape.outputs), net.e_s = at.take(shape.cells());
  net.e_out = at.take(shape.blocks), net.next = at.state(net, false);
  if (net.rule == Rule::truncated || net.rule == kImmediate) return at.size;
  const Index U = shape.units(), C = shape.cells();
  net.through = at.take(C), net.slopes = at.take(U), net.signs = at.take(U + C);
  net.path_factors = at.take((C + U) * net.n_paths);
  net.tangents = at.take(U * kTile<Real>), net.moved = at.take(std::max(C * kTile<Real>, S_stride));
  return at.size;
}

ClassExpertSettings experts_of(const StreamSettings& s) {
  const Index I = s.shape.inputs, O = std::max(s.shape.outputs, Index{2});
  if (s.symbols) return {O, I, s.streams, 6, Index{1} << 16, 0, 0, false};
  return {O, I, s.streams, 0, 0, I > 4096 ? 64 : 1024, 16, true};
}

}  // namespace

template <class Real>
Stream<Real>::Stream(const StreamSettings& settings, const std::vector<bool>& scaled,
                     const StreamKernel<Real>& kernel, const StreamKernels& kernels)
    : settings_(settings), kernel_(kernel), scaled_(scaled.begin(), scaled.end()) {
  check(settings);
  const StreamShape& shape = settings.shape;
  if (static_cast<Index>(scaled_.size()) != shape.inputs)
    refuse("scaled has ", scaled_.size(), " entries, expected one for each of ", shape.inputs,
           " inputs");
  flags_.resize(static_cast<std::size_t>(settings.streams));
  const Index keys = settings.by_key ? settings.streams + 1 : 1;
  inputs_.resize(static_cast<std::size_t>(keys * shape.inputs));
  targets_.resize(static_cast<std::size_t>(keys * shape.outputs));
  changed_.assign(flags_.size(), -1);  // unknown: the outputs are computed again
  wanted_.resize(static_cast<std::size_t>(shape.outputs));
  net_.shape = shape, net_.rule = settings.rule;
  if (settings.rule == Rule::rtrl) net_.reach = reaches(shape, settings.reach);
  net_.paths = settings.paths, net_.bound = static_cast<Real>(settings.bound);
  net_.n_paths = static_cast<Index>(settings.paths.size()) / shape.blocks;
  if (settings.rule == Rule::uoro) draws_.resize(2 * flags_.size());
  const Index numbers = lay_out<Real>(net_, nullptr);
  shared_ = Buffer<Real>(numbers);
  std::fill_n(shared_.data(), numbers, Real{0});
  lay_out(net_, shared_.data());
  Places<Real> counted{nullptr};
  counted.state(net_, true);
  state_numbers_ = counted.size;
  states_ = Buffer<Real>(state_numbers_ * settings.streams);  // written when a stream starts
  const Index front = settings.delayed ? shape.units() + shape.cells() : 0;
  fronts_ = Buffer<Real>(front * settings.streams);
  bytes_ = static_cast<std::size_t>(numbers + (state_numbers_ + front) * settings.streams) *
               sizeof(Real) +
           (inputs_.size() + targets_.size()) * sizeof(Running) + flags_.size();
  if (settings.experts) {
    experts_.emplace(experts_of(settings), kernels), bytes_ += experts_->bytes();
    z_.resize(static_cast<std::size_t>(shape.inputs));
  }
  net_.rate = static_cast<Real>(settings.rate), net_.decay = settings.decay;
  net_.momentum = static_cast<Real>(settings.momentum);
  net_.second = static_cast<Real>(settings.second);
  net_.epsilon = static_cast<Real>(settings.epsilon);
  net_.clip = static_cast<Real>(settings.clip);
  if (net_.momentum == 1 || net_.second == 1)
    refuse("momentum or second rounds to 1, expected at most 0.9999999");
}

template <class Real>
StreamState<Real> Stream<Real>::state_of(Index stream) const {
  Places<Real> at{states_.data() + stream * state_numbers_};
  return at.state(net_, true);
}

// The state of a stream before its first step.
template <class Real>
void Stream<Real>::begin(Index stream) {
  if (flags_[static_cast<std::size_t>(stream)]) return;
  const Index U = settings_.shape.units(), C = settings_.shape.cells();
  std::fill_n(states_.data() + stream * state_numbers_, state_numbers_, Real{0});
  if (settings_.delayed) std::fill_n(fronts_.data() + stream * (U + C), U + C, Real{0});
  if (experts_) experts_->reset(stream);
  if (!settings_.by_key) return;
  for (auto* const of : {&inputs_, &targets_}) {
    const Index n = of == &inputs_ ? settings_.shape.inputs : settings_.shape.outputs;
    const auto common = of->begin() + settings_.streams * n;
    std::transform(common, common + n, of->begin() + stream * n, [](Running from) {
      return Running{std::min(from.seen, kTrusted), from.mean, from.variance, 0};
    });
  }
}

template <class Real>
bool Stream<Real>::good_input(const double* x) const {
  const Index I = settings_.shape.inputs;
  if (settings_.symbols) return whole(x[0], I) >= 0;
  for (Index i = 0; i < I; ++i)
    if (std::abs(x[i]) > kLargest || (std::isnan(x[i]) && !settings_.missing)) return false;
  return true;
}

template <class Real>
bool Stream<Real>::good_target(const double* target) const {
  const Index O = settings_.shape.outputs;
  if (softmax()) return std::isnan(target[0]) || whole(target[0], O) >= 0;
  return std::none_of(target, target + O, [](double t) { return std::abs(t) > kLargest; });
}

template <class Real>
bool Stream<Real>::any_target(const double* target) const {
  return !std::all_of(target, target + target_values(), [](double t) { return std::isnan(t); });
}

template <class Real>
double Stream<Real>::standard(Index stream, Index i, double x) const {
  if (!scaled_[static_cast<std::size_t>(i)]) return std::isnan(x) ? 0 : x;
  const Running& of = scales(inputs_, stream, settings_.shape.inputs)[i];
  if (!(of.variance > 0) || std::isnan(x)) return 0;
  return std::clamp((x - of.mean) / of.deviation(), -settings_.largest, settings_.largest);
}

template <class Real>
void Stream<Real>::standardised(Index stream, const double* x, Index n, double* to) {
  begin(stream);
  for (Index i = 0; i < n; ++i) to[i] = standard(stream, i, x[i]);
}

template <class Real>
void Stream<Real>::standardise(Index stream, const double* x) {
  const Index I = settings_.shape.inputs;
  if (settings_.symbols) {
    std::fill_n(net_.x, I, Real{0});
    net_.x[whole(x[0], I)] = 1;
    return;
  }
  for (Index i = 0; i < I; ++i) net_.x[i] = static_cast<Real>(standard(stream, i, x[i]));
}

// Random signs of a stream's next step, a function of the seed, the stream and its step number.
template <class Real>
void Stream<Real>::draw(Index stream) {
  double* const draws = draws_.data() + 2 * stream;
  const auto at = static_cast<std::uint64_t>(stream), begun = static_cast<std::uint64_t>(draws[0]);
  const std::uint64_t seed = mixed(settings_.seed + at * 0xBF58476D1CE4E5B9u + begun * kGolden);
  draw_signs(seed, static_cast<std::uint64_t>(draws[1]),
             settings_.shape.units() + settings_.shape.cells(),
             [&](Index i, bool positive) { net_.signs[i] = positive ? Real{1} : Real{-1}; });
  draws[1] += 1;
}

template <class Real>
void Stream<Real>::show(Index stream, double* outputs) const {
  for (Index k = 0; k < settings_.shape.outputs; ++k) {
    const double y = static_cast<double>(net_.next.out[k]);
    const Running& of = scales(targets_, stream, settings_.shape.outputs)[k];
    outputs[k] = settings_.scale_targets ? of.mean + of.deviation() * y : y;
  }
}

// Replaces probabilities of the network by those of its mixture with the experts.
template <class Real>
void Stream<Real>::mix(Index stream, const double* x, double* outputs) {
  if (!experts_) return;
  std::copy_n(net_.x, settings_.symbols ? 0 : settings_.shape.inputs, z_.begin());
  const Index symbol = settings_.symbols ? whole(x[0], settings_.shape.inputs) : 0;
  // Experts know two classes at least: those of a logistic output, or a class and one to come.
  const bool single = settings_.shape.outputs == 1;
  double both[2] = {softmax() ? outputs[0] : 1 - outputs[0], softmax() ? 0 : outputs[0]};
  double* const p = single ? both : outputs;
  experts_->look(stream, symbol, z_.data(), p, p);
  if (single) outputs[0] = both[softmax() ? 0 : 1];
}

template <class Real>
Outcome Stream<Real>::predict(Index stream, const double* x, double* outputs,
                              const StreamState<Real>& from) {
  standardise(stream, x);
  if (!kernel_.look(net_, from)) return Outcome::diverged;
  show(stream, outputs);
  mix(stream, x, outputs);
  return Outcome::done;
}

template <class Real>
Outcome Stream<Real>::peek(Index stream, const double* x, double* outputs) {
  if (stream < 0 || stream >= settings_.streams) return Outcome::bad_stream;
  if (!good_input(x)) return Outcome::bad_input;
  begin(stream);
  return predict(stream, x, outputs, settings_.delayed ? front_of(stream) : state_of(stream));
}

// Adds a row to the running scales of inputs.
template <class Real>
void Stream<Real>::count(Index stream, const double* x) {
  const Index I = settings_.shape.inputs;
  for (Index i = 0; !settings_.symbols && i < I; ++i) {
    if (!scaled_[static_cast<std::size_t>(i)] || std::isnan(x[i])) continue;
    scales(inputs_, stream, I)[i].count(x[i], settings_.horizon);
    if (settings_.by_key)
      scales(inputs_, settings_.streams, I)[i].count(x[i], settings_.horizon);
  }
}

template <class Real>
Outcome Stream<Real>::advance(Index stream, const double* x, double* outputs) {
  const Outcome seen = peek(stream, x, outputs);
  if (seen != Outcome::done) return seen;
  std::uint8_t& flags = flags_[static_cast<std::size_t>(stream)];
  StreamState<Real> state = state_of(stream);
  if (settings_.rule == Rule::uoro) draw(stream);
  kernel_.move(net_, state, flags & kStanding);
  if (experts_) experts_->keep(stream);
  flags = kUsed | kStanding;
  changed_[static_cast<std::size_t>(stream)] = net_.changes;
  count(stream, x);
  return Outcome::done;
}

template <class Real>
Outcome Stream<Real>::learn(Index stream, const double* target, double weight) {
  if (stream < 0 || stream >= settings_.streams) return Outcome::bad_stream;
  if (!good_target(target) || !(weight >= 0 && weight <= kLargest)) return Outcome::bad_target;
  std::uint8_t& flags = flags_[static_cast<std::size_t>(stream)];
  if (!(flags & kStanding)) return Outcome::nothing_stands;
  if (!any_target(target)) return Outcome::done;
  const Index O = settings_.shape.outputs;
  if (softmax()) {
    std::fill(wanted_.begin(), wanted_.end(), Real{0});
    wanted_[static_cast<std::size_t>(whole(target[0], O))] = 1;
  }
  Running* const own = scales(targets_, stream, O);
  for (Index k = 0; !softmax() && k < O; ++k) {
    Running of = own[k];
    double t = target[k];
    if (settings_.scale_targets && !std::isnan(t))
      of.count(t, settings_.horizon), t = (t - of.mean) / of.deviation();
    wanted_[static_cast<std::size_t>(k)] = static_cast<Real>(t);
  }
  StreamState<Real> state = state_of(stream);
  // Other streams have changed the weights since: each would repeat the same correction.
  if (changed_[static_cast<std::size_t>(stream)] != net_.changes) kernel_.refresh(net_, state);
  if (!kernel_.learn(net_, state, wanted_.data(), static_cast<Real>(weight)))
    return Outcome::diverged;
  for (Index k = 0; settings_.scale_targets && k < O; ++k) {
    if (std::isnan(target[k])) continue;
    own[k].count(target[k], settings_.horizon);
    if (settings_.by_key)
      scales(targets_, settings_.streams, O)[k].count(target[k], settings_.horizon);
  }
  if (experts_) experts_->learn(stream, softmax() ? whole(target[0], O) : target[0] > 0.5, weight);
  flags = kUsed;
  return Outcome::done;
}

template <class Real>
Outcome Stream<Real>::reset(Index stream) {
  if (stream < 0 || stream >= settings_.streams) return Outcome::bad_stream;
  flags_[static_cast<std::size_t>(stream)] = 0;
  if (!draws_.empty())
    draws_[static_cast<std::size_t>(2 * stream)] += 1,
        draws_[static_cast<std::size_t>(2 * stream + 1)] = 0;
  return Outcome::done;
}

template class Stream<float>;
template class Stream<double>;

}  // namespace carrousel
