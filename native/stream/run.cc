#include "stream/run.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sequence/checks.h"
#include "common/refuse.h"
#include "common/signs.h"

namespace carrousel {
namespace {

constexpr Index kMost = Index{1} << 24;
constexpr double kLargest = 1e30;  // of inputs and targets: finite in float32

void expect_number(const char* name, double value, bool good, const char* wanted) {
  if (std::isfinite(value) && good) return;
  refuse(name, " is ", value, ", expected ", wanted);
}

// Class or symbol x as an index below n; -1 if it is not one.
Index whole(double x, Index n) {
  if (!(x >= 0 && x < static_cast<double>(n)) || x != std::floor(x)) return -1;
  return static_cast<Index>(x);
}

void check_paths(const StreamSettings& s) {
  expect_number("bound", s.bound, s.bound > 0, "a finite number above 0");
  for (const Index from : s.paths)
    if (from < 0 || from >= s.shape.fed_back())
      refuse("paths contain ", from, ", expected units fed back, 0..", s.shape.fed_back() - 1);
  if (static_cast<Index>(s.paths.size()) % s.shape.blocks)
    refuse("paths has ", s.paths.size(), " entries, expected as many for each block");
  if (!s.paths.empty() && std::count(s.reach.begin(), s.reach.end(), 0) + (s.rule != Rule::rtrl))
    refuse("paths are given, expected rule rtrl with all sensitivities");
}

}  // namespace

void check(const StreamSettings& s) {
  const StreamShape& shape = s.shape;
  for (const auto& [name, value] : {std::pair{"inputs", shape.inputs}, {"outputs", shape.outputs},
                                    {"blocks", shape.blocks}, {"block_size", shape.block_size},
                                    {"streams", s.streams}})
    if (check_number(name, value, kMost) < 1)
      refuse(name, " is 0, expected at least 1");
  if (shape.cells() > 1 << 16 || shape.inputs > 1 << 20 || shape.outputs > 1 << 20)
    refuse("the network is too large for a stream: expected at most 2^16 cells, 2^20 inputs and "
           "2^20 outputs");
  const double numbers = static_cast<double>(shape.traces()) * static_cast<double>(shape.cells()) *
                         static_cast<double>(shape.sources()) * static_cast<double>(s.streams);
  if (numbers > 1e12)
    refuse("traces would take terabytes; use fewer streams, cells or inputs");
  if (s.rule == Rule::snap) refuse("rule is snap, expected rtrl with a reach");
  const std::size_t entries =
      s.rule == Rule::rtrl ? static_cast<std::size_t>((shape.units() + shape.cells()) *
                                                      shape.units()) : 0;
  if (s.reach.size() != entries)
    refuse("reach has ", s.reach.size(), " entries, expected ", entries,
           ": (units + cells) * units for rule rtrl, 0 for others");
  check_paths(s);
  double kept = 0;
  for (const std::uint8_t entry : s.reach) kept += entry != 0;
  if (kept * static_cast<double>(shape.sources() + 64) * static_cast<double>(s.streams) > 1e12)
    refuse("sensitivities would take terabytes; use fewer streams, cells or inputs");
  expect_number("rate", s.rate, s.rate >= 0 && s.rate < 1e30, "0 to below 1e30");
  expect_number("decay", s.decay, s.decay >= 0, "a finite number of at least 0");
  expect_number("momentum", s.momentum, s.momentum >= 0 && s.momentum < 1, "0 to below 1");
  expect_number("second", s.second, s.second >= 0 && s.second < 1, "0 to below 1");
  expect_number("epsilon", s.epsilon, s.epsilon >= 1e-30, "at least 1e-30");
  expect_number("horizon", s.horizon, s.horizon >= 0, "at least 0");
  expect_number("largest", s.largest, s.largest > 0, "a number above 0");
  if (!(s.clip > 0)) refuse("clip is ", s.clip, ", expected a number above 0");
}

void Running::count(double x, double horizon) {
  seen += 1;
  const double a = 1 / (horizon > 0 ? std::min(seen, horizon) : seen), d = x - mean;
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

// What the weights into each unit can change, from a table [U + C, U] of ones and zeros.
std::vector<StreamReach> reaches(const StreamShape& shape, const std::vector<std::uint8_t>& table) {
  const Index U = shape.units(), C = shape.cells(), cell = shape.first_cell(), b = shape.blocks;
  std::vector<StreamReach> found;
  Index row = 0;
  for (Index unit = 0; unit < U; ++unit) {
    StreamReach reach{row, {}, {}, {}, {}};
    std::vector<bool> nets(static_cast<std::size_t>(U)), states(static_cast<std::size_t>(C));
    const auto needs = [&](Index u) { nets[static_cast<std::size_t>(u)] = true; };
    for (Index q = 0; q < U + C; ++q) {
      const bool is_cell = q >= cell && q < cell + C, is_state = q >= U;
      const bool matters = shape.gates_fed_back || is_cell || is_state;
      if (!table[static_cast<std::size_t>(q * U + unit)] || !matters) continue;
      (is_state ? reach.cells : reach.units).push_back(is_state ? q - U : q);
      if (is_state || is_cell) states[static_cast<std::size_t>(is_state ? q - U : q - cell)] = true;
      if (is_cell) needs(cell + C + (q - cell) / shape.block_size);
      else if (!is_state) needs(q);
    }
    for (Index c = 0; c < C; ++c) {
      if (!states[static_cast<std::size_t>(c)]) continue;
      reach.states.push_back(c);
      needs(c / shape.block_size), needs(cell + c);
      if (shape.forget_gate) needs(b + c / shape.block_size);
    }
    for (Index u = 0; u < U; ++u)
      if (nets[static_cast<std::size_t>(u)]) reach.nets.push_back(u);
    row += static_cast<Index>(reach.units.size() + reach.cells.size());
    found.push_back(std::move(reach));
  }
  return found;
}

}  // namespace

template <class Real>
Stream<Real>::Stream(const StreamSettings& settings, const std::vector<bool>& scaled,
                     const StreamKernel<Real>& kernel)
    : settings_(settings), kernel_(kernel), scaled_(scaled.begin(), scaled.end()) {
  check(settings);
  const StreamShape& shape = settings.shape;
  if (static_cast<Index>(scaled_.size()) != shape.inputs)
    refuse("scaled has ", scaled_.size(), " entries, expected one for each of ", shape.inputs,
           " inputs");
  flags_.resize(static_cast<std::size_t>(settings.streams));
  inputs_.resize(static_cast<std::size_t>(shape.inputs));
  targets_.resize(static_cast<std::size_t>(shape.outputs));
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
  bytes_ = static_cast<std::size_t>(numbers + state_numbers_ * settings.streams) * sizeof(Real) +
           (inputs_.size() + targets_.size()) * sizeof(Running) + flags_.size();
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
  if (softmax()) return whole(target[0], O) >= 0;
  return std::all_of(target, target + O, [](double t) { return std::abs(t) <= kLargest; });
}

template <class Real>
void Stream<Real>::standardise(const double* x) {
  const Index I = settings_.shape.inputs;
  if (settings_.symbols) {
    std::fill_n(net_.x, I, Real{0});
    net_.x[whole(x[0], I)] = 1;
    return;
  }
  for (Index i = 0; i < I; ++i) {
    const auto n = static_cast<std::size_t>(i);
    double z = std::isnan(x[i]) ? 0 : x[i];
    if (scaled_[n]) {
      const Running& of = inputs_[n];
      const bool known = of.variance > 0 && !std::isnan(x[i]);
      z = known ? std::clamp((x[i] - of.mean) / of.deviation(), -settings_.largest,
                             settings_.largest)
                : 0;
    }
    net_.x[i] = static_cast<Real>(z);
  }
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
void Stream<Real>::show(double* outputs) const {
  for (Index k = 0; k < settings_.shape.outputs; ++k) {
    const double y = static_cast<double>(net_.next.out[k]);
    const Running& of = targets_[static_cast<std::size_t>(k)];
    outputs[k] = settings_.scale_targets ? of.mean + of.deviation() * y : y;
  }
}

template <class Real>
Outcome Stream<Real>::peek(Index stream, const double* x, double* outputs) {
  if (stream < 0 || stream >= settings_.streams) return Outcome::bad_stream;
  if (!good_input(x)) return Outcome::bad_input;
  if (!flags_[static_cast<std::size_t>(stream)])  // the first step of the stream
    std::fill_n(states_.data() + stream * state_numbers_, state_numbers_, Real{0});
  standardise(x);
  if (!kernel_.look(net_, state_of(stream))) return Outcome::diverged;
  show(outputs);
  return Outcome::done;
}

template <class Real>
Outcome Stream<Real>::advance(Index stream, const double* x, double* outputs) {
  const Outcome seen = peek(stream, x, outputs);
  if (seen != Outcome::done) return seen;
  std::uint8_t& flags = flags_[static_cast<std::size_t>(stream)];
  StreamState<Real> state = state_of(stream);
  if (settings_.rule == Rule::uoro) draw(stream);
  kernel_.move(net_, state, flags & kStanding);
  flags = kUsed | kStanding;
  for (std::size_t i = 0; !settings_.symbols && i < inputs_.size(); ++i)
    if (scaled_[i] && !std::isnan(x[i])) inputs_[i].count(x[i], settings_.horizon);
  return Outcome::done;
}

template <class Real>
Outcome Stream<Real>::learn(Index stream, const double* target) {
  if (stream < 0 || stream >= settings_.streams) return Outcome::bad_stream;
  if (!good_target(target)) return Outcome::bad_target;
  std::uint8_t& flags = flags_[static_cast<std::size_t>(stream)];
  if (!(flags & kStanding)) return Outcome::nothing_stands;
  const std::size_t O = wanted_.size();
  if (softmax()) {
    std::fill(wanted_.begin(), wanted_.end(), Real{0});
    wanted_[static_cast<std::size_t>(whole(target[0], settings_.shape.outputs))] = 1;
  }
  for (std::size_t k = 0; !softmax() && k < O; ++k) {
    Running of = targets_[k];
    if (settings_.scale_targets) of.count(target[k], settings_.horizon);
    const double t = settings_.scale_targets ? (target[k] - of.mean) / of.deviation() : target[k];
    wanted_[k] = static_cast<Real>(t);
  }
  StreamState<Real> state = state_of(stream);
  if (!kernel_.learn(net_, state, wanted_.data())) return Outcome::diverged;
  for (std::size_t k = 0; settings_.scale_targets && k < O; ++k)
    targets_[k].count(target[k], settings_.horizon);
  flags = kUsed;
  return Outcome::done;
}

template <class Real>
Outcome Stream<Real>::step(Index stream, const double* x, const double* target, double* outputs) {
  const bool learns = target && !std::isnan(target[0]);
  if (learns && !good_target(target)) return Outcome::bad_target;
  const Outcome moved = advance(stream, x, outputs);
  return moved == Outcome::done && learns ? learn(stream, target) : moved;
}

template <class Real>
Index Stream<Real>::run(Index rows, const std::int64_t* streams, const double* x,
                        const double* targets, bool targets_first, double* outputs,
                        Outcome& outcome) {
  const Index I = input_values(), width = target_values(), O = settings_.shape.outputs;
  for (Index n = 0; n < rows; ++n, x += I, outputs += O, targets += targets ? width : 0) {
    const Index stream = streams[n];
    if (!targets_first) {
      outcome = step(stream, x, targets, outputs);
    } else {
      const bool learns = targets && !std::isnan(targets[0]);
      if (stream < 0 || stream >= settings_.streams) outcome = Outcome::bad_stream;
      else if (!good_input(x)) outcome = Outcome::bad_input;
      else if (learns && !good_target(targets)) outcome = Outcome::bad_target;
      else if (learns && flags_[static_cast<std::size_t>(stream)] & kStanding)
        outcome = learn(stream, targets);
      else outcome = Outcome::done;
      if (outcome == Outcome::done) outcome = advance(stream, x, outputs);
    }
    if (outcome != Outcome::done) return n;
  }
  return rows;
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
