// The contract of streams: one network that learns at every step, on streams without end.
//
// Letters, besides those of common/carrousel.h:
//   S sources of a hidden unit: inputs, units fed back, a constant 1
//   P what an output sees: inputs (if direct), cells, a constant 1
//     Rows of S or P numbers begin on a line of the cache, an odd number of lines apart, and are
//     filled up to whole lines with zeros, which stay zero.
//   B streams; they share weights, each has a place in time
// A StreamNet and all it points to belong to one object; nothing is allocated after it was made.
// Several threads may not use one net at a time.
#pragma once

#include "common/carrousel.h"

namespace carrousel {

enum class Head : int { linear, logistic, logistic97, softmax };
enum class Optimizer : int { sgd, rmsprop, adam };

struct StreamShape {
  Index inputs, outputs, blocks, block_size;
  bool forget_gate, gates_fed_back, direct;
  Squash g, h;
  Head head;
  Optimizer optimizer;

  Index cells() const { return blocks * block_size; }
  Index units() const { return cells() + blocks * (2 + forget_gate); }
  Index first_cell() const { return blocks * (1 + forget_gate); }
  Index fed_back() const { return gates_fed_back ? units() : cells(); }
  Index sources() const { return inputs + fed_back() + 1; }
  Index seen() const { return inputs * direct + cells() + 1; }
  Index traces() const { return 2 + forget_gate; }
};

template <class Real> constexpr Index kLine = 64 / static_cast<Index>(sizeof(Real));
template <class Real> constexpr Index kTile = 2 * kLine<Real>;  // sensitivities carried together

// Numbers of a row of n, filled up to whole lines of the cache.
template <class Real>
constexpr Index stream_width(Index n) {
  return (n + kLine<Real> - 1) / kLine<Real> * kLine<Real>;
}

// Numbers from one row of n to the next, where `parts` of them lie beside each other. A pass goes
// along several rows at once: an even number of lines apart, they would fight for the same few
// places of the cache.
template <class Real>
constexpr Index stream_stride(Index n, Index parts = 1) {
  const Index width = parts * stream_width<Real>(n);
  return width / kLine<Real> % 2 ? width : width + kLine<Real>;
}

// A stream's place in time. Traces are one step behind where `standing` says so: they move when the
// step's target is learned, or else when the next step comes.
template <class Real>
struct StreamState {
  Real *y, *s, *h;                         // [U] activations, [C] cell states, [C] squashed
  Real* sources;                           // [S] of the last step
  Real* out;                               // [O] of the last step
  Real* kept;                              // [C] what the carrousel keeps: forget gates, or 1
  Real *gain_in, *gain_forget, *gain_cell; // [C] by how much sources enter the traces
  Real* traces;         // [F, C, S] of cells, input gates, forget gates; truncated alone
  Real* sensitivities;  // [rows of all reaches, S]: rtrl and snap alone
  Real *q, *w;          // [U + C] [U, S] of uoro: dq/dw is about their outer product
};

// What the weights into one unit can move, of activations (of units that are fed back or read) and
// of states. Rows of sensitivities stand for the units, then the cells, ascending.
struct StreamReach {
  Index row;                  // the first of its rows
  std::vector<Index> units, cells;
  std::vector<Index> nets;    // units whose net inputs are needed to go on
  std::vector<Index> states;  // cells whose states are: those kept, and those of cells among units
};

template <class Real>
struct StreamRows {  // a matrix of weights, and the running means of its gradients, row beside row
  Real *weights, *first, *second;  // of the first row; those the optimiser lacks are null
  Index distance;                  // from one row to the next, in numbers
};

template <class Real>
struct StreamNet {
  StreamShape shape;
  Rule rule;
  std::vector<StreamReach> reach;  // [U], of rtrl and snap
  Real rate, momentum, second, epsilon, clip;  // clip: infinite if there is none
  StreamRows<Real> hidden, output;             // [U, S] [O, P]
  double decay;                                // of the rate, in changes; 0: it stays
  std::int64_t changes;                        // of the weights, so far
  Real* x;                                     // [I] of the step to come
  StreamState<Real> next;                      // of look(); without traces, its sources are x's
  Real *net, *gates, *seen, *errors, *back, *e_s, *e_out;  // [U] [3 C] [P] [O] [P] [C] [blocks]
  Real *through, *slopes;         // [C] dy/ds; [U] of the gates, and of cells dy by output gates
  Real *tangents, *moved, *signs; // [U, kTile] [C, kTile] [U + C]; of all but truncated
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
  // What state would become if x came, in net.next; whether the outputs are finite.
  bool (*look)(StreamNet<Real>& net, const StreamState<Real>& state);
  // Makes it so; a step that stands is settled first.
  void (*move)(StreamNet<Real>& net, StreamState<Real>& state, bool standing);
  // Learns what the outputs of a standing step should have been, [O]; false, and nothing has been
  // changed, if an error is not finite.
  bool (*learn)(StreamNet<Real>& net, StreamState<Real>& state, const Real* wanted);
};

struct StreamKernels {
  const char* name;
  StreamKernel<float> single;
  StreamKernel<double> twofold;
};

const std::vector<const StreamKernels*>& stream_kernels();

}  // namespace carrousel
