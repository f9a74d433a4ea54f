#include "stream/learner.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "common/refuse.h"

namespace carrousel {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr double kUnknown = 0, kKnown = 1, kAbsent = 2;  // states of a target
constexpr double kLargest = 1e30;
constexpr double kMostRows = 0x1p50;  // counts stay whole numbers

bool good_weight(double weight) { return weight >= 0 && weight <= kLargest; }

LearnerSettings checked(LearnerSettings s) {
  const StreamShape& shape = s.stream.shape;
  s.stream.delayed = s.pending() > 1;
  if (s.delay < 0 || s.delay > 1 << 20) refuse("delay is ", s.delay, ", expected 0 to 2^20");
  const double waiting = static_cast<double>(s.pending()) * static_cast<double>(s.stream.streams) *
                         static_cast<double>(shape.inputs + 2 * shape.outputs);
  if (waiting > 1e11) refuse("rows that wait for targets would take hundreds of gigabytes");
  if (s.stream.experts && s.stream.delayed) refuse("experts need targets that are not delayed");
  if (!s.has_rules) return s;
  if (s.stream.symbols || shape.head != Head::linear || s.stream.scale_targets)
    refuse("rules need inputs that are numbers, linear outputs, and scale_targets false");
  s.rules.streams = s.stream.streams, s.rules.pending = s.pending();
  check(s.rules);
  if (shape.outputs != s.rules.outputs() || shape.inputs <= s.rules.features())
    refuse("the network does not have the outputs and inputs of its rules");
  if (s.rules.inputs > shape.inputs - s.rules.features())
    refuse("inputs of the rules are ", s.rules.inputs, ", expected at most those of a row");
  return s;
}

}  // namespace

template <class Real>
Learner<Real>::Learner(LearnerSettings settings, const std::vector<bool>& scaled,
                       const StreamKernel<Real>& kernel, const StreamKernels& kernels,
                       const RuleKernels& rules)
    : settings_(checked(std::move(settings))), net_(settings_.stream, scaled, kernel, kernels) {
  if (settings_.has_rules) rules_ = std::make_unique<Rules>(settings_.rules, rules);
  values_ = settings_.stream.shape.head == Head::softmax ? 1
            : rules_ ? settings_.rules.variables : settings_.stream.shape.outputs;
  const auto size = [](Index n) { return static_cast<std::size_t>(n); };
  row_.resize(size(settings_.stream.symbols ? 1 : settings_.stream.shape.inputs));
  raw_.resize(size(outputs())), due_.resize(size(std::max(outputs(), values_)));
  wanted_.resize(due_.size()), ready_.resize(row_.size());
  if (!queued()) return;
  const Index B = settings_.stream.streams, Q = settings_.pending();
  counts_.resize(size(2 * B)), flags_.resize(size(B * Q * values_));
  targets_.resize(flags_.size()), weights_.resize(size(B * Q));
  inputs_.resize(size(B * Q) * row_.size());
}

template <class Real>
Index Learner<Real>::input_values() const {
  return static_cast<Index>(row_.size()) - (rules_ ? settings_.rules.features() : 0);
}

template <class Real>
Index Learner<Real>::target_values() const { return values_; }

template <class Real>
bool Learner<Real>::good_target(const double* target) const {
  if (!rules_) return net_.good_target(target);
  return std::none_of(target, target + values_, [](double t) { return std::abs(t) > kLargest; });
}

template <class Real>
bool Learner<Real>::any_target(const double* target) const {
  return !std::all_of(target, target + values_, [](double t) { return std::isnan(t); });
}

// Sets row_ to the inputs of the net at a row.
template <class Real>
Outcome Learner<Real>::prepare(Index stream, const double* x) {
  if (stream < 0 || stream >= settings_.stream.streams) return Outcome::bad_stream;
  std::copy_n(x, input_values(), row_.data());
  std::fill(row_.begin() + input_values(), row_.end(), 0.0);
  if (!net_.good_input(row_.data())) return Outcome::bad_input;
  if (!rules_) return Outcome::done;
  net_.standardised(stream, row_.data(), settings_.rules.inputs, ready_.data());
  rules_->look(stream, ready_.data(), row_.data() + input_values());
  return Outcome::done;
}

template <class Real>
Outcome Learner<Real>::peek(Index stream, const double* x, double* outputs, double* bounds) {
  Outcome outcome = prepare(stream, x);
  if (outcome == Outcome::done)
    outcome = net_.peek(stream, row_.data(), rules_ ? raw_.data() : outputs);
  if (outcome != Outcome::done || !rules_) return outcome;
  if (!rules_->combine(stream, raw_.data(), outputs)) return Outcome::diverged;
  if (bounds) rules_->bounds(bounds);
  return outcome;
}

template <class Real>
Outcome Learner<Real>::advance(Index stream, const double* x, double* outputs, double* bounds) {
  if (stream < 0 || stream >= settings_.stream.streams) return Outcome::bad_stream;
  const Index Q = settings_.pending(), I = static_cast<Index>(row_.size());
  std::copy_n(x, input_values(), row_.data());
  if (!net_.good_input(row_.data())) return Outcome::bad_input;
  if (queued() && count(stream, 0) - count(stream, 1) >= static_cast<double>(Q)) {
    const Outcome learned = process(stream);  // its targets are overdue
    if (learned != Outcome::done) return learned;
  }
  Outcome outcome = prepare(stream, x);
  if (outcome != Outcome::done) return outcome;
  double* const to = rules_ ? raw_.data() : outputs;
  outcome = queued() ? net_.glance(stream, row_.data(), to) : net_.advance(stream, row_.data(), to);
  if (outcome != Outcome::done) return outcome;
  if (rules_) {
    if (!rules_->combine(stream, raw_.data(), outputs)) return Outcome::diverged;
    if (bounds) rules_->bounds(bounds);
    rules_->keep(stream);
  }
  if (!queued()) return outcome;
  const Index row = static_cast<Index>(count(stream, 0));
  net_.ready(row_.data(), &at(inputs_, (stream * Q + row % Q) * I));
  std::fill_n(flags(stream, row), values_, kUnknown);
  count(stream, 0) += 1;
  return outcome;
}

// Whether all targets of the oldest waiting row of a stream are there.
template <class Real>
bool Learner<Real>::complete(Index stream) const {
  auto& self = const_cast<Learner&>(*this);
  const Index first = static_cast<Index>(self.count(stream, 1));
  const Index end = first + settings_.leads();
  if (end > static_cast<Index>(self.count(stream, 0))) return false;
  for (Index row = first; row < end; ++row)
    if (*self.flags(stream, row) == kUnknown) return false;
  return true;
}

// Learns the oldest waiting row of a stream, with the targets that are known.
template <class Real>
Outcome Learner<Real>::process(Index stream) {
  const Index Q = settings_.pending(), I = static_cast<Index>(row_.size());
  const Index H = settings_.leads(), first = static_cast<Index>(count(stream, 1));
  const Index begun = static_cast<Index>(count(stream, 0));
  for (Index v = 0; v < values_; ++v)
    for (Index h = 0; h < H; ++h) {
      const Index row = first + h;
      const bool known = row < begun && flags(stream, row)[v] == kKnown;
      at(due_, v * H + h) = known ? at(targets_, (stream * Q + row % Q) * values_ + v) : kNone;
    }
  const Outcome moved = net_.follow(stream, &at(inputs_, (stream * Q + first % Q) * I));
  if (moved != Outcome::done) return moved;
  const double weight = *flags(stream, first) == kUnknown ? 1 : at(weights_, stream * Q + first % Q);
  if (rules_) rules_->settle(stream, first, due_.data(), wanted_.data());
  else wanted_ = due_;
  count(stream, 1) += 1;
  Outcome learned = Outcome::done;
  if (net_.any_target(wanted_.data())) learned = net_.learn(stream, wanted_.data(), weight);
  if (first + 1 == begun) net_.meet(stream);
  return learned;
}

template <class Real>
Outcome Learner<Real>::learn(Index stream, Index back, const double* target, double weight) {
  if (stream < 0 || stream >= settings_.stream.streams) return Outcome::bad_stream;
  if (!good_target(target) || !good_weight(weight)) return Outcome::bad_target;
  if (!queued()) {
    if (back != 0) return Outcome::nothing_stands;
    return rules_ ? learn_now(stream, target, weight) : net_.learn(stream, target, weight);
  }
  const Index begun = static_cast<Index>(count(stream, 0)), row = begun - 1 - back;
  if (back < 0 || row < 0) return Outcome::nothing_stands;
  if (rules_ && begun != rules_->rows(stream)) return Outcome::nothing_stands;  // a damaged state
  if (row < static_cast<Index>(count(stream, 1))) {
    lost_ += any_target(target);
    return Outcome::done;
  }
  double* const known = flags(stream, row);
  if (*known != kUnknown) return Outcome::nothing_stands;
  const Index Q = settings_.pending();
  for (Index v = 0; v < values_; ++v) {
    const bool there = !std::isnan(target[v]);
    known[v] = there ? kKnown : kAbsent;
    at(targets_, (stream * Q + row % Q) * values_ + v) = there ? target[v] : 0;
  }
  at(weights_, stream * Q + row % Q) = weight;
  if (rules_) rules_->observe(stream, row, target);
  while (complete(stream)) {
    const Outcome learned = process(stream);
    if (learned != Outcome::done) return learned;
  }
  return Outcome::done;
}

// Learns the target of the last row by rules and net.
template <class Real>
Outcome Learner<Real>::learn_now(Index stream, const double* target, double weight) {
  const Index row = rules_->rows(stream) - 1;
  if (!net_.stands(stream) || row < 0) return Outcome::nothing_stands;
  if (!any_target(target)) return Outcome::done;
  rules_->settle(stream, row, target, wanted_.data());
  rules_->observe(stream, row, target);
  return net_.learn(stream, wanted_.data(), weight);
}

template <class Real>
Outcome Learner<Real>::step(Index stream, const double* x, const double* target, double weight,
                            double* outputs, double* bounds) {
  const bool learns = target && any_target(target);
  if (learns && !(good_target(target) && good_weight(weight))) return Outcome::bad_target;
  const Outcome moved = advance(stream, x, outputs, bounds);
  return moved == Outcome::done && learns ? learn(stream, 0, target, weight) : moved;
}

template <class Real>
Outcome Learner<Real>::recall(Index stream, double* outputs, double* bounds) {
  if (stream < 0 || stream >= settings_.stream.streams) return Outcome::bad_stream;
  if (!rules_ || rules_->rows(stream) == 0) return Outcome::nothing_stands;
  rules_->recall(stream, outputs);
  rules_->bounds(bounds);
  return Outcome::done;
}

// A target that comes with the first row of a stream, before it: the rules know it from then on.
template <class Real>
void Learner<Real>::start(Index stream, const double* target) {
  if (!rules_ || rules_->rows(stream)) return;
  rules_->start(stream, target);
  if (queued()) count(stream, 0) = count(stream, 1) = 1;
}

template <class Real>
Index Learner<Real>::run(const RowsOfStreams& rows, Outcome& outcome) {
  const Index I = input_values(), width = values_;
  const Index B = settings_.stream.streams;
  for (Index n = 0; n < rows.n; ++n) {
    const Index stream = rows.streams[n];
    const double* const x = rows.x + n * I;
    const double* const target = rows.targets ? rows.targets + n * width : nullptr;
    const double weight = rows.weights ? rows.weights[n] : 1;
    double* const out = rows.outputs + n * outputs();
    double* const bounds_of = rows.bounds ? rows.bounds + n * outputs() * bounds() : nullptr;
    if (!rows.targets_first) {
      outcome = step(stream, x, target, weight, out, bounds_of);
    } else {
      const bool learns = target && any_target(target);
      const Index owner = rows.owners ? rows.owners[n] : stream;
      const Index back = rows.owners ? rows.backs[n] : 0;
      const auto begun = [&] {  // else the target is of a row before the stream began
        return queued() ? owner >= 0 && count(owner, 0) > static_cast<double>(back)
                        : owner >= 0 && net_.stands(owner);
      };
      outcome = Outcome::done;
      if (stream < 0 || stream >= B || owner >= B) outcome = Outcome::bad_stream;
      else if (std::copy_n(x, I, row_.data()); !net_.good_input(row_.data()))
        outcome = Outcome::bad_input;
      else if (learns && !(good_target(target) && good_weight(weight)))
        outcome = Outcome::bad_target;
      else if (learns && begun()) outcome = learn(owner, back, target, weight);
      else if (learns && !rows.owners) start(stream, target);
      if (outcome == Outcome::done) outcome = advance(stream, x, out, bounds_of);
    }
    if (outcome != Outcome::done) return n;
  }
  return rows.n;
}

template <class Real>
Outcome Learner<Real>::reset(Index stream) {
  const Outcome outcome = net_.reset(stream);
  if (outcome != Outcome::done) return outcome;
  if (rules_) rules_->reset(stream);
  if (queued()) count(stream, 0) = count(stream, 1) = 0;
  return outcome;
}

template <class Real>
std::size_t Learner<Real>::bytes() const {
  const std::size_t numbers = counts_.size() + flags_.size() + targets_.size() + weights_.size() +
                              inputs_.size();
  return net_.bytes() + (rules_ ? rules_->bytes() : 0) + numbers * sizeof(double);
}

// --- state -----------------------------------------------------------------------------------

template <class Real>
std::map<std::string, Rules::Block> Learner<Real>::blocks() {
  std::map<std::string, Rules::Block> found;
  if (rules_) found = rules_->blocks();
  if (!queued()) return found;
  const Index Q = settings_.pending(), I = static_cast<Index>(row_.size());
  found["pending_counts"] = {counts_.data(), {2}, true, 2};
  found["pending_flags"] = {flags_.data(), {Q, values_}, true, Q * values_};
  found["pending_targets"] = {targets_.data(), {Q, values_}, true, Q * values_};
  found["pending_weights"] = {weights_.data(), {Q}, true, Q};
  found["pending_inputs"] = {inputs_.data(), {Q, I}, true, Q * I};
  found["pending_lost"] = {&lost_, {1}, false, 0};
  return found;
}

namespace {

Index numbers_of(const std::vector<Index>& shape) {
  Index n = 1;
  for (const Index each : shape) n *= each;
  return n;
}

}  // namespace

template <class Real>
std::map<std::string, typename Learner<Real>::Part> Learner<Real>::parts() {
  std::map<std::string, Part> found = net_.parts();
  for (const auto& [name, block] : blocks()) found[name] = {block.of_stream, block.shape};
  return found;
}

template <class Real>
void Learner<Real>::read(const std::string& name, Index stream, double* to) {
  const auto all = blocks();
  const auto found = all.find(name);
  if (found == all.end()) return net_.read(name, stream, to);
  const Rules::Block& block = found->second;
  std::copy_n(block.at + stream * block.stride, numbers_of(block.shape), to);
}

template <class Real>
void Learner<Real>::write(const std::string& name, Index stream, const double* from) {
  const auto all = blocks();
  const auto found = all.find(name);
  if (found == all.end()) return net_.write(name, stream, from);
  const Rules::Block& block = found->second;
  std::copy_n(from, numbers_of(block.shape), block.at + stream * block.stride);
  if (rules_) rules_->repair(name, stream);
  if (queued()) repair(name, stream);
}

template <class Real>
void Learner<Real>::repair(const std::string& block, Index stream) {
  const Index Q = settings_.pending(), I = static_cast<Index>(row_.size());
  const auto limit = [&](std::vector<double>& of, Index n, auto&& good) {
    for (double* x = &at(of, stream * n); n-- > 0; ++x) *x = good(*x);
  };
  const auto number = [](double x) {
    return std::isnan(x) ? 0.0 : std::clamp(x, -kLargest, kLargest);
  };
  if (block == "pending_counts") {
    double &begun = count(stream, 0), &learned = count(stream, 1);
    for (double* const each : {&begun, &learned})
      *each = *each > 0 ? std::floor(std::min(*each, kMostRows)) : 0.0;
    learned = std::clamp(learned, std::max(begun - static_cast<double>(Q), 0.0), begun);
  }
  if (block == "pending_flags")
    limit(flags_, Q * values_, [](double x) { return x == kKnown || x == kAbsent ? x : kUnknown; });
  if (block == "pending_targets")
    limit(targets_, Q * values_, [&](double x) {
      const double one[] = {number(x)};
      return settings_.stream.shape.head != Head::softmax || net_.good_target(one) ? one[0] : 0.0;
    });
  if (block == "pending_weights")
    limit(weights_, Q, [&](double x) { return std::max(number(x), 0.0); });
  if (block == "pending_inputs")
    limit(inputs_, Q * I, [&](double x) {
      const double one[] = {number(x)};
      return !settings_.stream.symbols || net_.good_input(one) ? one[0] : 0.0;
    });
  if (block == "pending_lost") lost_ = lost_ > 0 ? std::min(lost_, kMostRows) : 0;
}

template <class Real>
void Learner<Real>::set_flags(Index stream, std::uint8_t flags) {
  net_.flags()[static_cast<std::size_t>(stream)] = flags;
  if (flags) return;
  if (rules_) rules_->reset(stream);
  if (queued()) count(stream, 0) = count(stream, 1) = 0;
}

template class Learner<float>;
template class Learner<double>;

}  // namespace carrousel
