// Rows of one or many streams, one after another. They are checked and standardised here in double;
// a kernel computes the rest.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sequence/run.h"
#include "stream/class_experts.h"
#include "stream/stream.h"

namespace carrousel {

enum class Outcome : int { done, bad_stream, bad_input, bad_target, nothing_stands, diverged };

struct StreamSettings {
  StreamShape shape;
  Rule rule;                       // truncated, immediate, rtrl (with `reach`: snap) or uoro
  std::vector<std::uint8_t> reach; // [U + C, U] of rtrl: 1 for sensitivities that are kept
  std::vector<Index> paths;        // [blocks, n_paths] of sparse, see StreamNet; else empty
  double bound;                    // largest size of sensitivities
  std::uint64_t seed;              // of uoro's random signs
  Index streams;                   // B
  double rate, decay, momentum, second, epsilon, clip, horizon, largest;
  bool symbols, scale_targets, missing;
  bool by_key;   // inputs and targets of each stream have a scale of their own
  bool experts;  // mix the probabilities with those of ClassExperts
  bool delayed;  // targets come after later rows: a second state of each stream runs ahead
};

void check(const StreamSettings& settings);  // throws std::invalid_argument

// What the weights into each unit can change, from a table [U + C, U] of ones and zeros.
std::vector<StreamReach> reaches(const StreamShape& shape, const std::vector<std::uint8_t>& table);

// Running mean and variance of one column. A value counts at most as kMostOdd deviations, so that an
// outlier changes the variance by a bounded factor. After kConfirmed such values in a row, what
// came before them is forgotten, and they count in full.
struct Running {
  double seen = 0, mean = 0, variance = 0, odd = 0;  // odd: values in a row that were limited

  void count(double x, double horizon);
  double deviation() const;
};

template <class Real>
class Stream {
 public:
  Stream(const StreamSettings& settings, const std::vector<bool>& scaled,
         const StreamKernel<Real>& kernel, const StreamKernels& kernels);

  Index input_values() const { return settings_.symbols ? 1 : settings_.shape.inputs; }
  Index target_values() const { return softmax() ? 1 : settings_.shape.outputs; }

  // Numbers of a row: x [input_values()], target [target_values()], outputs [O]. The state has not
  // changed unless the outcome is `done`.
  Outcome peek(Index stream, const double* x, double* outputs);
  Outcome advance(Index stream, const double* x, double* outputs);
  // A target of NaN is missing. Errors count `weight` times.
  Outcome learn(Index stream, const double* target, double weight = 1);
  Outcome reset(Index stream);

  // If targets are delayed: glance() advances the state that predicts, and follow() later the state
  // that learns, by the inputs [input_values()] that ready() wrote after the glance. meet() makes
  // the first state the second.
  Outcome glance(Index stream, const double* x, double* outputs);
  void ready(const double* x, double* to) const;
  Outcome follow(Index stream, const double* inputs);
  void meet(Index stream);

  bool good_input(const double* x) const;
  bool good_target(const double* target) const;  // NaN is good: missing
  bool any_target(const double* target) const;
  // Standardises the first n inputs into `to` [n], by the scales of a stream.
  void standardised(Index stream, const double* x, Index n, double* to);
  bool stands(Index stream) const {
    return flags_[static_cast<std::size_t>(stream)] & kStanding;
  }

  // A part of the state, which all streams share or each stream has.
  struct Part {
    bool of_stream;
    std::vector<Index> shape;  // of one stream
  };
  std::map<std::string, Part> parts() const;
  void read(const std::string& name, Index stream, double* to) const;
  void write(const std::string& name, Index stream, const double* from);

  bool finite() const;  // whether all weights and running gradients are
  std::size_t bytes() const { return bytes_; }
  const StreamSettings& settings() const { return settings_; }
  std::vector<std::uint8_t>& flags() { return flags_; }  // [B]; 0: an unused stream
  void set_rate(double rate) { net_.rate = static_cast<Real>(rate), settings_.rate = rate; }

  static constexpr std::uint8_t kUsed = 1, kStanding = 2;

 private:
  bool softmax() const { return settings_.shape.head == Head::softmax; }
  Outcome predict(Index stream, const double* x, double* outputs, const StreamState<Real>& from);
  void begin(Index stream);
  void count(Index stream, const double* x);
  double standard(Index stream, Index i, double x) const;
  void standardise(Index stream, const double* x);
  const Running* scales(const std::vector<Running>& of, Index stream, Index n) const {
    return of.data() + (settings_.by_key ? stream * n : 0);
  }
  Running* scales(std::vector<Running>& of, Index stream, Index n) const {
    return of.data() + (settings_.by_key ? stream * n : 0);
  }
  StreamState<Real> front_of(Index stream) const;
  void mix(Index stream, const double* x, double* outputs);
  bool of_experts(const std::string& name) const;
  void draw(Index stream);
  void show(Index stream, double* outputs) const;
  StreamState<Real> state_of(Index stream) const;
  struct Place { Real* at; Index rows, columns, width, stride; };  // width: with padding
  Place place(const std::string& name, Index stream) const;
  std::pair<const Running*, Index> scales_named(const std::string& name, Index stream) const;

  StreamSettings settings_;
  const StreamKernel<Real>& kernel_;
  std::vector<std::uint8_t> scaled_, flags_;  // [I] [B]
  // [I] and [O], or by key [B + 1, I] and [B + 1, O], where the last are of all streams together.
  std::vector<Running> inputs_, targets_;
  std::vector<std::int64_t> changed_;         // [B] changes of the weights before the last step
  std::vector<Real> wanted_;                  // [O]
  std::optional<ClassExperts> experts_;
  std::vector<double> z_;                     // [I] inputs for the experts
  std::vector<double> draws_;                 // [B, 2] of uoro: resets, steps since the last
  StreamNet<Real> net_{};
  Index state_numbers_ = 0;
  std::size_t bytes_ = 0;
  Buffer<Real> shared_, states_, fronts_;     // fronts: [B, U + C] if targets are delayed
};

}  // namespace carrousel
