// Any-time nets, one row per call, without learning: features of a row, a causal convolution,
// layers of LSTM, running means, and a read-out. The equations are those of features.py and net.py
// in the Python package estimators/net, and of kernels/reference/live.py.
//
// Memory does not depend on the number of rows. A row allocates nothing, takes no lock and runs on
// the calling thread. F: inputs of a net; S: outputs of its LSTM; other letters are those of
// common/carrousel.h.
#pragma once

#include <vector>

#include "step/step.h"

namespace carrousel {

// A matrix [width, depth] for products with one vector: columns one after another, [depth, padded].
class Columns {
 public:
  Columns() = default;
  Columns(Index width, Index depth, const float* w);  // w [width, depth] is copied
  Index depth() const { return depth_; }
  Index padded() const { return padded_; }
  // c [padded()] = start [padded()] + w a [depth]. Zeros in `a` cost almost nothing.
  void product(const float* a, const float* start, float* c) const;

 private:
  Index depth_ = 0, padded_ = 0;
  std::vector<float> w_;
};

// Inputs of nets from the rows of one series, with gaps and irregular times.
class LiveFeatures {
 public:
  std::vector<double> mean, scale;  // [I], scale > 0
  bool timed = false;
  double unit = 1;  // > 0

  Index channels() const { return static_cast<Index>(mean.size()); }
  Index inputs() const { return 2 * channels() + timed; }  // F
  void reset();
  // Converts a row [I] to `into` [F]; `time` is null: one unit after the row before. Throws
  // std::invalid_argument, without a change, if a value is infinite or time does not increase.
  template <class Real>
  void row(const Real* values, const double* time, float* into);

 private:
  double since(const double* time) const;
  std::vector<double> z_, carried_, seen_at_;  // [I]
  double start_ = 0, time_ = 0, since_ = -1;   // since_ < 0: no row yet
};

// One net. Vectors are padded as Columns::padded() says, with zeros.
class LiveNet {
 public:
  StepNet<float>* step = nullptr;  // of one sequence; the owner keeps it
  const StepKernel<float>* kernel = nullptr;
  Index width = 0;               // F, or the width of the embedding
  Index states = 0, inner = 0;   // S; inputs of the LSTM: the convolution, then `width` inputs
  Index window = 0;              // taps of the convolution; 0: none
  Index dilation = 1;            // steps between two taps
  std::vector<float> embedding;  // [symbols + 1, width], or empty
  // The convolution [inner - width, window * width], oldest tap first. Its weights and bias are
  // centred over filters, so the norm need not subtract a mean.
  Columns filters;
  std::vector<float> bias, gain, shift;  // [filters padded]
  double epsilon = 0;
  Columns readout;                  // [O, 2 S + inner]: h, mean of h, mean of inner
  std::vector<float> readout_bias;  // [O padded]
  std::vector<float> outputs;       // [O padded]

  void prepare();  // allocates; to be called once, after the weights are given
  void reset();    // all but the state of `step`
  // Reads inputs [F], or the number of a symbol from 0 (missing), and writes `outputs`.
  void run(const float* inputs, Index symbol);

 private:
  Index filter_count() const { return window ? inner - width : 0; }
  Index span() const { return window ? (window - 1) * dilation + 1 : 0; }
  void convolve(const float* x);  // to filtered_
  std::vector<float> ring_;      // [span, width], the last inputs
  std::vector<float> taps_;      // [window * width]
  std::vector<float> filtered_;  // [filters padded]
  std::vector<float> joint_;  // [2 S + inner]
  std::vector<double> sums_;  // [S + inner]
  Index at_ = 0, rows_ = 0;
};

// p [n] = mean over nets of softmax(outputs / temperature), for n outputs of each net. `room` [n].
void mean_softmax(const std::vector<LiveNet>& nets, Index n, double temperature, double* p,
                  double* room);

}  // namespace carrousel
