// Mixes the probabilities of E experts, so that the loss is hardly more than that of the best.
//
// Their normalised product with learned exponents w is a further expert, and often the best:
//   g(k) = prod_e p_e(k)^w_e / sum_j prod_e p_e(j)^w_e
// The exponents follow the gradient of the log loss (Mattern 2012, "Mixing strategies in data
// compression"), one set of them for each class of contexts:
//   w_e += rate (log p_e(target) - sum_k g(k) log p_e(k)), within -1..2
// The result is sum_e W_e p_e over all E + 1, whose weights follow Bayes' rule, and a fixed share
// of which is redistributed at each step (Herbster & Warmuth 1998). Its log loss exceeds that of
// any of them by at most log(E + 1) and the share for each step.
#pragma once

#include <vector>

#include "stream/stream.h"

namespace carrousel {

// Makes numbers of a file positive shares of 1, unless they are.
void bound_shares(std::vector<double>& shares);

class Mixture {
 public:
  // `rate` falls to `least` with the number of steps: rate / sqrt(1 + n / 100).
  Mixture(Index experts, Index outputs, Index streams, Index sets, double rate, double least,
          ProductKernel* product);

  // Probabilities [O] of an expert for the next look(), to be written by the caller.
  double* expert(Index e) { return next_.data() + e * outputs_; }
  // Mixes them with a set of exponents into mixed [O].
  void look(Index set, double* mixed);
  // Makes the last look the one whose target a stream learns next.
  void keep(Index stream);
  void learn(Index stream, Index target, double weight);
  void reset(Index stream);
  void copy(Index from, Index to);
  std::size_t bytes() const;

  // Parts: weights [E + 1] and exponents [sets, E + 1], the last of which counts its steps.
  // Of each stream: probabilities [E + 1, O]; means [E + 1] of log p_e under g, and the set.
  std::vector<double> weights, exponents, probabilities, means;
  // Bounds these after they were written: shared ones, those of a stream.
  void bound();
  void bound(Index stream);

 private:
  Index experts_, outputs_, sets_, set_ = 0;
  double rate_, least_;
  ProductKernel* product_;
  std::vector<double> next_, next_means_;
};

}  // namespace carrousel
