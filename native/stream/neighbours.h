// The nearest of recent rows: an expert for what a recurrent network learns slowly, such as classes
// that no straight line divides.
//
// The last `rows` labelled rows of all streams are kept, standardised, in float32. Of the k nearest
// by Euclidean distance d_1 <= ... <= d_k, neighbour i has the weight 1 / (d_i / d_k + 0.1). Among
// equal distances the lower place counts as nearer.
#pragma once

#include <vector>

#include "common/carrousel.h"
#include "sequence/run.h"
#include "stream/stream.h"

namespace carrousel {

class Neighbours {
 public:
  // Rows of `inputs` numbers with `values` targets each. Throws std::invalid_argument.
  Neighbours(Index inputs, Index values, Index streams, Index rows, Index k,
             DistanceKernel* distances);

  struct Near { Index row; double weight; };
  // The nearest rows to x [inputs], nearest first; at most k. Valid until the next call.
  const std::vector<Near>& look(const double* x);
  // Writes the weighted mean of the targets of the rows nearest to x, or zeros if there are none, to
  // `to` [values]. Returns the sum of their weights.
  double mean(const double* x, double* to);
  const double* target(Index row) const { return targets_.data() + row * values_; }  // [values]
  // Makes the x of the last look the row whose target a stream learns next.
  void keep(Index stream);
  void learn(Index stream, const double* target);
  void copy(Index from, Index to);

  std::size_t bytes() const;
  // Numbers as floating point: pending [inputs] of a stream; rows [rows, values + inputs]; learned:
  // rows learned so far.
  void read_pending(Index stream, double* to) const;
  void write_pending(Index stream, const double* from);
  void read_rows(double* to) const;
  // With classes, targets are indices below their number.
  void write_rows(const double* from, Index classes = 0);
  double learned = 0;

 private:
  float& at(Index row, Index input) const { return table_.data()[input * stride_ + row]; }
  Index filled() const;
  void select(Index rows);

  Index inputs_, values_, rows_, k_, stride_;
  DistanceKernel* distances_;
  Buffer<float> table_, apart_, x_;   // [inputs, stride] [stride] [inputs]
  std::vector<float> pending_;        // [B, inputs]
  std::vector<double> targets_;       // [rows, values]
  std::vector<Near> near_;
};

}  // namespace carrousel
