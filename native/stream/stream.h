// The contract of streams: one network that learns at every step of endless streams.
//
// Letters are those of common/carrousel.h. The B streams share the weights; each has its own state.
// "seen" is the number of sources of an output: inputs (if direct), cells, and the constant 1. Rows
// of S or `seen` numbers start on a cache line, an odd number of lines apart. They are padded to
// whole lines with zeros, which remain zero.
//
// A StreamNet and all that it points to belong to one object, which allocates no memory after its
// construction. Only one thread may use a network at a time.
#pragma once

#include "common/carrousel.h"

namespace carrousel {

enum class Head : int { linear, logistic, logistic97, softmax };
enum class Optimizer : int { sgd, rmsprop, adam };

struct StreamShape {
  Index inputs, outputs, blocks, block_size;  // I O
  bool forget_gate, gates_fed_back, direct;
  Squash g, h;
  Head head;
  Optimizer optimizer;

  Index cells() const { return blocks * block_size; }  // C
  Index units() const { return cells() + blocks * (2 + forget_gate); }  // U
  Index first_cell() const { return blocks * (1 + forget_gate); }
  Index fed_back() const { return gates_fed_back ? units() : cells(); }
  Index sources() const { return inputs + fed_back() + 1; }  // S
  Index seen() const { return inputs * direct + cells() + 1; }
  Index traces() const { return 2 + forget_gate; }  // of each cell and source
};

template <class Real> constexpr Index kLine = 64 / static_cast<Index>(sizeof(Real));
template <class Real> constexpr Index kTile = 2 * kLine<Real>;  // sensitivities computed together

// The immediate derivative is back-propagation through time of depth 1.
constexpr Rule kImmediate = Rule::bptt;

// The width of a row of n numbers, padded to whole cache lines.
template <class Real>
constexpr Index stream_width(Index n) {
  return (n + kLine<Real> - 1) / kLine<Real> * kLine<Real>;
}

// Numbers from one row of n numbers to the next, if `parts` such rows are stored side by side. A
// pass reads several rows at once. An odd number of lines between them avoids cache conflicts.
template <class Real>
constexpr Index stream_stride(Index n, Index parts = 1) {
  const Index width = parts * stream_width<Real>(n);
  return width / kLine<Real> % 2 ? width : width + kLine<Real>;
}

// The state of one stream. While a step waits for its target (`standing`), traces lack that step:
// learn() adds it, or else move() does at the next step.
template <class Real>
struct StreamState {
  Real *y, *s, *h;                         // [U] activations, [C] cell states, [C] squashed
  Real* sources;                           // [S] of the last step
  Real* out;                               // [O] of the last step
  Real* kept;                              // [C] factor of the old state: forget gates, or 1
  Real *gain_in, *gain_forget, *gain_cell; // [C] factors of sources in the traces
  Real* traces;         // [traces(), C, S]: cells, input gates, forget gates; truncated only
  Real* sensitivities;  // [stream_rows(), S]; rtrl, sparse and snap only
  Real *q, *w;          // [U + C] [U, S]; uoro only: their outer product estimates sensitivities
};

// The activations and states that the weights into one unit can change, for units that are fed back
// or that outputs read. Rows of sensitivities are in the order of `units`, then `cells`.
struct StreamReach {
  Index row;                  // the first of its rows of sensitivities
  std::vector<Index> units, cells;
  std::vector<Index> nets;    // units whose net inputs the next step needs
  std::vector<Index> states;  // cells whose states it needs: `cells`, and the cells among `units`
};

template <class Real>
struct StreamRows {  // a matrix of weights, and running means of its gradients and their squares
  Real *weights, *first, *second;  // their first rows; null if the optimiser has no such means
  Index distance;                  // from one row to the next, in numbers
};

template <class Real>
struct StreamNet {
  StreamShape shape;
  Rule rule;
  std::vector<StreamReach> reach;  // [U], of rtrl, sparse and snap
  // Of sparse: the units, among those fed back, from which each block receives sensitivities.
  std::vector<Index> paths;  // [blocks, n_paths]
  Index n_paths;
  Real bound;  // largest size of sensitivities: of shrink() in kernels/reference/paths.py
  Real rate, momentum, second, epsilon, clip;  // clip: infinite if errors are not clipped
  StreamRows<Real> hidden, output;             // [U, S] [O, seen]
  double decay;                                // of the rate, in changes; 0: the rate is constant
  std::int64_t changes;                        // number of changes of the weights
  Real* x;                                     // [I] inputs of the next step
  StreamState<Real> next;                      // result of look(), without traces
  Real *net, *gates;                           // [U] net inputs, [3 C] gates of each cell
  Real *seen, *errors, *back;                  // [seen] [O] [seen]: sources and errors of outputs
  Real *e_s, *e_out;                           // [C] [blocks] errors of states and output gates
  // Not of truncated and immediate:
  Real *through, *slopes;         // [C] dy/ds; [U] dy/dnet of gates, and of cells by output gates
  Real *tangents, *moved, *signs; // [U, kTile] [C, kTile] [U + C]
  Real* path_factors;             // [C + U, n_paths] of sparse
};

// Rows of all sensitivities.
template <class Real>
inline Index stream_rows(const StreamNet<Real>& net) {
  if (net.reach.empty()) return 0;
  const StreamReach& last = net.reach.back();
  return last.row + static_cast<Index>(last.units.size() + last.cells.size());
}

template <class Real>
struct StreamKernel {
  // Computes the step at net.x in net.next, without changing `state`. Returns whether the outputs
  // are finite.
  bool (*look)(StreamNet<Real>& net, const StreamState<Real>& state);
  // Makes net.next the state. If a step is standing, adds it to the traces first.
  void (*move)(StreamNet<Real>& net, StreamState<Real>& state, bool standing);
  // Computes the outputs of a standing step again, by the present weights of the outputs.
  void (*refresh)(StreamNet<Real>& net, StreamState<Real>& state);
  // Learns the targets `wanted` [O] of a standing step, NaN where there is none. Errors count
  // `weight` times. Returns false and changes nothing if an error is not finite.
  bool (*learn)(StreamNet<Real>& net, StreamState<Real>& state, const Real* wanted, Real weight);
};

// Squared distances to [rows] of x [inputs] from the rows of a table [inputs, stride], whose rows
// are its columns. Arrays start on cache lines; up to `stride`, `to` is overwritten.
struct Distances {
  static constexpr Index kAtOnce = 32;  // divides stride
  Index rows, stride, inputs;
  const float *table, *x;
  float* to;
};

using DistanceKernel = void(const Distances&);

// The normalised product of the probabilities of E experts, each to the power of its exponent.
// Probabilities below `least` count as `least`.
struct Product {
  static constexpr Index kMostExperts = 8;
  Index experts, outputs;   // E O
  const double* p;          // [E, O]
  const double* exponents;  // [E], -1 to 2
  double least;             // at least 1e-9
  double* product;          // [O]: written
  double* means;            // [E]: written; of log p under the product
};
using ProductKernel = void(const Product&);

struct StreamKernels {
  const char* name;
  StreamKernel<float> single;
  StreamKernel<double> twofold;
  DistanceKernel* distances;
  ProductKernel* product;
};

const std::vector<const StreamKernels*>& stream_kernels();

}  // namespace carrousel
