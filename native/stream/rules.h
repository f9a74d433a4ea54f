// Expert rules: forecasts of a target from its past values, which the net adds to, mixed online.
//
// A target has V variables, and a row forecasts H leads of each: output v H + h of row r is variable
// v of the target of row r + h. Each stream has a history of its own; the weights of least squares
// and the periods found are common to all streams. A stream that starts takes over the regrets and
// scales of all streams together, with little confidence.
//
// The rules: the last value; the mean of all values; the mean of the recent ones; least squares on
// lags; if there are inputs, least squares on lags and inputs, and on inputs alone; and for each
// period the value one period before, and the last value plus the change one period before.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "stream/least_squares.h"
#include "stream/mixture.h"

namespace carrousel {

constexpr double kPriorVariance = 0.1;  // of the weights of least squares

struct RuleSettings {
  Index streams = 1, variables = 1, leads = 1;  // B V H
  Index pending = 1;         // Q: rows of a stream that may wait for targets
  Index inputs = 0;          // standardised inputs that least squares may use
  Index lags = 24;           // of least squares
  Index longest = 0;         // of the periods to look for; 0: those given are used
  std::vector<Index> periods;
  std::vector<double> levels;  // of prediction intervals, 0 to 1

  Index outputs() const { return variables * leads; }
  Index slots() const { return longest ? 2 : static_cast<Index>(periods.size()); }
  Index fitted() const { return inputs ? 3 : 1; }  // rules of least squares
  Index rules() const { return 3 + fitted() + 2 * slots(); }
  Index features() const { return variables * (rules() + 1) + outputs(); }
  Index regressors(Index fit) const {
    return fit == 2 ? 1 + seen() : lags - 1 + slots() + 2 + (fit ? seen() : 0);
  }
  // Inputs that least squares use: those of the row and, unless they are many, of the row before.
  Index seen() const { return inputs > 32 ? inputs : 2 * inputs; }
  Index bounds() const { return 2 * static_cast<Index>(levels.size()); }
};

void check(const RuleSettings& settings);  // throws std::invalid_argument

class Rules {
 public:
  Rules(const RuleSettings& settings, const RuleKernels& kernels);

  // Computes the forecasts of the next row of a stream, from standardised inputs [inputs], and
  // writes features [features()] for the net. Nothing that is kept changes.
  void look(Index stream, const double* inputs, double* features);
  // Adds the outputs of the net [O] to the forecasts of look(); writes forecasts [O]. Returns whether
  // these are finite.
  bool combine(Index stream, const double* net, double* forecasts);
  // Bounds [O, 2, levels] of intervals around the forecasts of combine(): lower, then upper.
  void bounds(double* bounds) const;
  // Makes the row of look() and combine() the latest of the stream.
  void keep(Index stream);
  // Writes the forecasts [O] of the latest row of a stream, for bounds() to follow.
  void recall(Index stream, double* forecasts);
  // Begins a stream with targets [V] that belong to no row of it: those before its first.
  void start(Index stream, const double* target);
  // Adds the targets [V] of row `row` to the history of a stream. NaN: there is none.
  void observe(Index stream, Index row, const double* target);
  // Learns the targets [O] of row `row`, NaN where there is none. Writes what the net should have
  // returned to `wanted` [O].
  void settle(Index stream, Index row, const double* targets, double* wanted);
  void reset(Index stream);
  // Makes numbers of a block of the state that was written from outside possible: counts whole and in
  // order, sizes at least 0, periods that exist. All other numbers may be any.
  void repair(const std::string& block, Index stream);
  Index rows(Index stream) const { return static_cast<Index>(key(stream)[0]); }

  const RuleSettings& settings() const { return settings_; }
  std::size_t bytes() const;

  // Blocks of the state by name: shared by all streams, or one row a stream.
  struct Block {
    double* at;
    std::vector<Index> shape;  // of one stream
    bool of_stream;
    Index stride;              // numbers from stream to stream
  };
  std::map<std::string, Block> blocks();

 private:
  // Numbers of a stream, from its first: see the constructor.
  struct Layout {
    Index known, change, mean, recent, odd, raw, before, scale, regrets, final_regrets, size;
  };
  // Numbers of a row that waits for its targets.
  struct Waiting {
    Index known, mean, unit, scale, base, net, mixed, rules, inputs, size;
  };

  double* key(Index stream) { return keys_.data() + stream * key_.size; }
  const double* key(Index stream) const { return keys_.data() + stream * key_.size; }
  double* row(Index stream, Index row) {
    return rows_.data() + (stream * settings_.pending + row % settings_.pending) * row_.size;
  }
  double& past(Index stream, Index v, Index row) {
    return history_[static_cast<std::size_t>((stream * settings_.variables + v) * span_ +
                                             row % span_)];
  }
  double past_or(Index stream, Index v, Index row, double instead);
  void begin(Index stream);
  void forecast(Index stream, Index v, Index h, double* to);
  double regress(Index stream, Index v, const double* waiting, const double* rules, Index fit);
  void seek(Index stream, Index v, Index row, double y);
  void choose(Index v);
  void forget_period(Index v, Index slot);
  void learn_output(Index stream, Index v, Index h, const double* waiting, double y);
  void repair_key(Index stream);
  double* inverse(Index k, Index fit);
  double* weights(Index k, Index fit);

  RuleSettings settings_;
  const RuleKernels& kernels_;
  Layout key_{};
  Waiting row_{};
  Index span_ = 0, width_ = 0;     // rows of a history; numbers of a row of an inverse
  std::vector<double> keys_;       // [B + 1, key_.size]; the last is of all streams together
  std::vector<double> history_;    // [B, V, span]
  std::vector<double> rows_;       // [B, Q, row_.size]
  std::vector<double> fits_;       // [O, fits, 1 + width, width]: weights, then the inverse
  std::vector<double> periods_;    // [V, slots]
  std::vector<double> distances_;  // [V, 2, longest]: sums and counts of each lag
  std::vector<double> quantiles_;  // [O, 2, levels]
  std::vector<double> errors_;     // [O, 2]: sum of absolute errors, and number
  std::vector<double> now_, x_, gain_, mixing_;  // scratch
};

}  // namespace carrousel
