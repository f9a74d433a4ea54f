// The contract of the sequence kernels: one direction of one layer, a whole batch.
//
// Letters, once (those of contracts/recurrence.py):
//   T steps of a window    B sequences of the batch   M units      N net inputs (rows of w_hh)
//   K recurrent sources    S state vectors besides h  P unit parameters
//   G width of the gates' tape: N, or P-independent rows of a described cell times M
//   E width of the extra tape, see Extra
//
// A Sequence is one call's weights, packed, and the state that runs from window to window. A window
// is a stretch of steps in the order of the data; `reverse` walks it from its end. Arrays are
// row-major and contiguous. Nothing here owns what it points to; all pointers have been checked,
// are not aliased unless said, and outlive the call. Outputs need not be initialised.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace carrousel {

using Index = std::int64_t;

enum class CellKind : int {
  lstm, lstm97, peephole, coupled, no_output_gate, gru, rnn_tanh, rnn_relu, described
};

// Which equations, and their sizes.
struct Recurrence {
  CellKind kind;
  Index units, sources, net_inputs, states;  // M K N S
  Index unit_parameters;                     // P
  Index block_size;                          // of lstm97
  double g_range, h_range;                   // of lstm97
  bool projection, gate_sources, layer_norm;
  Index tape;                                // of a described cell: rows of M values
  std::uintptr_t forward, backward;          // of a described cell: its compiled row functions

  Index blocks() const { return units / block_size; }
  Index state_width() const { return states * units; }
  Index gates_width() const { return kind == CellKind::described ? tape * units : net_inputs; }
  // Width of what the cell itself puts out, before a projection.
  Index cell_output() const { return projection ? units : sources; }
  // Whether errors of w_hh h differ from those of w_ih x.
  bool separate() const {
    return layer_norm || kind == CellKind::gru || kind == CellKind::described;
  }
};

// Where the parts of the extra tape start; -1: not kept. What a way back needs beside gates.
struct Extra {
  Index product = -1;  // [N] w_hh h before layer normalisation
  Index recurrent = -1;  // [M] r_n + b of gru without layer normalisation
  Index output = -1;   // [M] cell output before a projection
  Index inputs = -1;   // [N] w_ih x before layer normalisation, where the kernel does it
  Index source =
      -1;  // [K] what w_hh was multiplied by, where it is not the output of the step before
  Index width = 0;     // E

  Extra(const Recurrence& r, bool sources, bool norms_inputs) {
    const auto add = [this](Index& part, Index n) { part = width, width += n; };
    if (r.layer_norm) add(product, r.net_inputs);
    if (r.kind == CellKind::gru && !r.layer_norm) add(recurrent, r.units);
    if (r.projection) add(output, r.units);
    if (norms_inputs) add(inputs, r.net_inputs);
    if (sources) add(source, r.sources);
  }
};

template <class Real>
struct Weights {
  const Real* w_hh;     // [N, K]
  const Real* w_ih;     // [N, I] or null: net inputs come ready
  const Real* bias;     // [N] or null; null for described cells, whose x holds it
  const Real* unit;     // [P, M] or null
  const Real* w_hr;     // [K, M] or null
  const Real* ln_ih;    // [N] or null: net inputs come normalised
  const Real* ln_hh;    // [N] or null
  const Real* ln_c;     // [2, M] or null
  const Real* fresh_h;  // [K] or null: zero
  const Real* fresh_s;  // [S M] or null: zero
  const Real* drop;     // [B, K] or null: one
};

template <class Real>
struct Window {
  Index steps, first;           // T, and how many steps were processed before this window
  bool reverse;
  const std::uint8_t* flags;    // [T, B] or null: bit 1 active, bit 2 reset
  const std::uint8_t* keep_h;   // [T, B, K] or null
  const std::uint8_t* keep_s;   // [T, B, S M] or null
  double zone_h, zone_s;        // shares of the old value, where there are no masks

  // Forward. x may be gates, unless the cell is described.
  const Real* x;                // [T, B, N]
  Real* out;                    // [T, B, K]
  Real* states;                 // [T, B, S M] or null: not kept
  Real* gates;                  // [T, B, G] or null
  Real* extra;                  // [T, B, E] or null

  // Backward reads out, states, gates, extra; and the state before the window.
  const Real* h_enter;          // [B, K]
  const Real* s_enter;          // [B, S M]
  const Real* d_out;            // [T, B, K] or null: zero
  const Real* d_states;         // [T, B, S M] or null
  Real* d_x;                    // [T, B, N]
  Real* d_r;                    // [T, B, N] if separate, else null
  Real* d_projected;            // [T, B, K] with a projection: errors of w_hr m; else null
};

// Errors of what all steps share; [threads] slices each, added to.
template <class Real>
struct Shared {
  Real* unit;     // [P, M]
  Real* ln_ih;    // [N]
  Real* ln_hh;    // [N]
  Real* ln_c;     // [2, M]
  Real* fresh_h;  // [K]
  Real* fresh_s;  // [S M]
};

template <class Real>
struct Sequence {
  Recurrence recurrence;
  Weights<Real> weights;
  Index inputs;           // I, or 0
  Index batch;
  int threads, all_threads;  // of the walk, at most one a sequence unless split; of products
  bool split;             // threads share units of all sequences, not sequences
  int cut;                // 0 nowhere, -1 truncated, k every k steps
  bool learn;             // the way back: packed is for errors
  bool sources;           // extra keeps sources: flags or drop may be given
  Extra extra() const { return {recurrence, sources, weights.ln_ih != nullptr}; }

  Real* packed;           // packed_size() of all weights
  Real* h;                // [B, K] state handed on; backward: its error
  Real* s;                // [B, S M] the same
  Real* scratch;          // [threads] slices of scratch_size()
  std::vector<Shared<Real>> shared;  // [threads], of the way back
};

template <class Real>
struct Products {
  Index rows, outputs, width;
  Index errors_stride, stride;  // from row to row
  const Real *errors, *sources;
  Real* into;
};

template <class Real>
struct SequenceKernel {
  bool (*splits)(const Sequence<Real>&);  // whether `split` should be set
  std::size_t (*packed_size)(const Sequence<Real>&);   // numbers of Real
  std::size_t (*scratch_size)(const Sequence<Real>&);  // of one thread
  void (*pack)(Sequence<Real>&);
  void (*forward)(const Sequence<Real>&, const Window<Real>&);
  void (*backward)(const Sequence<Real>&, const Window<Real>&);
  // into [rows, N] = x [rows, I] w_ih^T, plus bias of described cells; on the way back
  // into [rows, I] = x [rows, N] w_ih.
  void (*project)(const Sequence<Real>&, Index rows, const Real* x, Real* into);
  // rows [rows, N] = LN(rows) ln_ih; the rows as they came go to `kept`, `stride` apart, or
  // nowhere. For the way back: errors [rows, N] of what was normalised become those of what `kept`
  // holds, where flags [rows] (or null) do not tell of padding, which may hold anything.
  void (*norm_inputs)(const Sequence<Real>&, Index rows, Real* values, Real* kept, Index stride);
  void (*norm_inputs_back)(const Sequence<Real>&, Index rows, const std::uint8_t* flags,
                           const Real* kept, Index stride, Real* errors);
  // into [N, K] += errors [rows, N]^T sources [rows, K].
  void (*add_products)(const Products<Real>&, int threads);
  // into [N] += sum of errors [rows, N]; N in `outputs`.
  void (*add_rows)(const Products<Real>&, int threads);
};

struct SequenceKernels {
  const char* name;
  SequenceKernel<float> single;
  SequenceKernel<double> twofold;
};

const std::vector<const SequenceKernels*>& sequence_kernels();

// Calls work(context, i) for i in 0..n-1, on the threads of the OpenMP runtime that is loaded
// already if there is one (so that its waiting threads do not fight for cores), else on new ones.
void parallel(int n, void (*work)(void*, int), void* context);

template <class Work>
void parallel(int n, const Work& work) {
  parallel(n, [](void* w, int i) { (*static_cast<const Work*>(w))(i); },
           const_cast<void*>(static_cast<const void*>(&work)));
}

// Calls work(context, i, n) at the same time on n threads, as many of those asked for as there are.
void together(int n, void (*work)(void*, int, int), void* context);

template <class Work>
void together(int n, const Work& work) {
  together(n, [](void* w, int i, int m) { (*static_cast<const Work*>(w))(i, m); },
           const_cast<void*>(static_cast<const void*>(&work)));
}

// Where threads that run together wait for each other.
class Meeting {
 public:
  void wait(int n);

 private:
  std::atomic<int> arrived_{0}, round_{0};
};

}  // namespace carrousel
