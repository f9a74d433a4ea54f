// A network on streams with what surrounds it: expert rules, and rows that wait for their targets.
#pragma once

#include <memory>

#include "stream/rules.h"
#include "stream/run.h"

namespace carrousel {

struct LearnerSettings {
  StreamSettings stream;  // inputs of the net: those of a row, then the features of the rules
  bool has_rules;
  RuleSettings rules;
  Index delay;            // rows of a stream that may follow a row before its target comes

  Index leads() const { return has_rules ? rules.leads : 1; }
  Index pending() const { return delay + leads(); }  // Q
};

// Rows of a call, [N] each; null: see Learner::run.
struct RowsOfStreams {
  Index n;
  const std::int64_t* streams;
  const double* x;
  const double* targets;
  const double* weights;        // null: 1
  const std::int64_t* owners;   // streams of the targets, which come before the rows; -1: none
  const std::int64_t* backs;    // and how many rows of that stream are younger than theirs
  bool targets_first;
  double *outputs, *bounds;     // bounds: null or [N, O, 2, levels]
};

template <class Real>
class Learner {
 public:
  Learner(LearnerSettings settings, const std::vector<bool>& scaled,
          const StreamKernel<Real>& kernel, const StreamKernels& kernels,
          const RuleKernels& rules);

  Index input_values() const;
  Index target_values() const;
  Index outputs() const { return settings_.stream.shape.outputs; }
  Index bounds() const { return settings_.has_rules ? settings_.rules.bounds() : 0; }

  // Outputs of a row without learning it; nothing changes.
  Outcome peek(Index stream, const double* x, double* outputs, double* bounds);
  Outcome advance(Index stream, const double* x, double* outputs, double* bounds);
  // Learns a target [target_values()], NaN where it is missing, of the row that `back` rows of the
  // stream have followed. A target that comes after its row was dropped is counted by lost().
  Outcome learn(Index stream, Index back, const double* target, double weight);
  Outcome step(Index stream, const double* x, const double* target, double weight,
               double* outputs, double* bounds);
  // The outputs of the latest row of a stream again; with rules only.
  Outcome recall(Index stream, double* outputs, double* bounds);
  // Returns the number of rows processed.
  Index run(const RowsOfStreams& rows, Outcome& outcome);
  Outcome reset(Index stream);

  using Part = typename Stream<Real>::Part;
  std::map<std::string, Part> parts();
  void read(const std::string& name, Index stream, double* to);
  // Impossible numbers, such as negative counts, are replaced by possible ones.
  void write(const std::string& name, Index stream, const double* from);
  void set_flags(Index stream, std::uint8_t flags);  // 0: the stream is unused

  std::size_t bytes() const;
  double lost() const { return lost_; }
  Stream<Real>& net() { return net_; }

 private:
  void start(Index stream, const double* target);
  bool queued() const { return settings_.pending() > 1; }
  bool good_target(const double* target) const;
  bool any_target(const double* target) const;
  Outcome prepare(Index stream, const double* x);
  Outcome process(Index stream);
  bool complete(Index stream) const;
  Outcome learn_now(Index stream, const double* target, double weight);
  double& count(Index stream, int which) { return at(counts_, 2 * stream + which); }
  static double& at(std::vector<double>& of, Index i) { return of[static_cast<std::size_t>(i)]; }
  double* flags(Index stream, Index row) {
    return &at(flags_, (stream * settings_.pending() + row % settings_.pending()) * values_);
  }
  std::map<std::string, Rules::Block> blocks();
  void repair(const std::string& block, Index stream);

  LearnerSettings settings_;
  Stream<Real> net_;
  std::unique_ptr<Rules> rules_;
  Index values_ = 0;                        // of a target
  double lost_ = 0;
  // Rows that wait: rows begun and rows learned of each stream; for each waiting row the state of
  // its target (0: unknown, 1: known, 2: there is none), the target, its weight, and the inputs of
  // the net.
  std::vector<double> counts_, flags_, targets_, weights_, inputs_;  // [B,2] [B,Q,V] .. [B,Q] [B,Q,I]
  std::vector<double> row_, raw_, ready_, wanted_, due_;
};

}  // namespace carrousel
