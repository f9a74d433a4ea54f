// Rows of one or many streams, one after another. They are checked and standardised here in double;
// a kernel computes the rest.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sequence/run.h"
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
};

void check(const StreamSettings& settings);  // throws std::invalid_argument

// Running mean and variance of one column.
struct Running {
  double seen = 0, mean = 0, variance = 0;

  void count(double x, double horizon);
  double deviation() const;
};

template <class Real>
class Stream {
 public:
  Stream(const StreamSettings& settings, const std::vector<bool>& scaled,
         const StreamKernel<Real>& kernel);

  Index input_values() const { return settings_.symbols ? 1 : settings_.shape.inputs; }
  Index target_values() const { return softmax() ? 1 : settings_.shape.outputs; }

  // Numbers of a row: x [input_values()], target [target_values()], outputs [O]. The state has not
  // changed unless the outcome is `done`.
  Outcome peek(Index stream, const double* x, double* outputs);
  Outcome advance(Index stream, const double* x, double* outputs);
  Outcome learn(Index stream, const double* target);
  // Advances, then learns if there is a target: null or a first number of NaN mean none. If the
  // outputs are finite but the errors are not, the stream has still advanced.
  Outcome step(Index stream, const double* x, const double* target, double* outputs);
  // Processes streams [N], x [N, input_values()], targets [N, target_values()] or null, and writes
  // outputs [N, O], until a row is refused. Returns the number of rows processed.
  Index run(Index rows, const std::int64_t* streams, const double* x, const double* targets,
            bool targets_first, double* outputs, Outcome& outcome);
  Outcome reset(Index stream);

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
  bool good_input(const double* x) const;
  bool good_target(const double* target) const;
  void standardise(const double* x);
  void draw(Index stream);
  void show(double* outputs) const;
  StreamState<Real> state_of(Index stream) const;
  struct Place { Real* at; Index rows, columns, width, stride; };  // width: with padding
  Place place(const std::string& name, Index stream) const;

  StreamSettings settings_;
  const StreamKernel<Real>& kernel_;
  std::vector<std::uint8_t> scaled_, flags_;  // [I] [B]
  std::vector<Running> inputs_, targets_;     // [I] [O]
  std::vector<Real> wanted_;                  // [O]
  std::vector<double> draws_;                 // [B, 2] of uoro: resets, steps since the last
  StreamNet<Real> net_{};
  Index state_numbers_ = 0;
  std::size_t bytes_ = 0;
  Buffer<Real> shared_, states_;
};

}  // namespace carrousel
