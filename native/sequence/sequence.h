// The contract of the sequence kernels: one direction of one layer, a whole batch.
//
// Letters are those of common/carrousel.h: T steps of a window, B sequences, I inputs, C cells, U
// gates and cells (rows of w_hh), H components of h, D state vectors besides h, P unit parameters.
// A tape keeps, for each step, what the backward pass needs: gates_width() numbers of gates and
// Extra::width other numbers.
//
// A Sequence holds the packed weights of one call, and the state between windows. A window is a
// range of steps in the order of the data; `reverse` processes it from its end.
//
// Arrays are row-major and contiguous. Nothing here owns memory: pointers are borrowed for the call
// and have been checked. Arrays do not overlap unless a comment says so. Outputs need not be
// initialised.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace carrousel {

using Index = std::int64_t;

enum class CellKind : int {
  lstm, lstm97, peephole, coupled, no_output_gate, gru, rnn_tanh, rnn_relu, described
};

// A recurrent product of a described cell after the first: rows of w_hh times a vector [C] that a row
// function computes from the results of earlier products.
struct FurtherProduct {
  Index first, rows;            // rows first..first+rows-1 of w_hh
  std::uintptr_t source, back;  // addresses of its row functions
};
constexpr Index kMostProducts = 8;

// How the matrices of weights are stored for the forward pass of a float kernel. int8 has a scale for
// each row.
enum class Storage : int { real, bfloat16, float16, int8 };

// The equations of a cell, and their sizes.
struct Recurrence {
  CellKind kind;
  Index units, sources, net_inputs, states;  // C H U D
  Index unit_parameters;                     // P
  Index block_size;                          // of lstm97
  double g_range, h_range;                   // of lstm97
  bool projection, gate_sources, layer_norm;
  // Of a described cell, whose row functions were compiled from its equations.
  Index tape;                                // vectors [C] on the gates' tape
  std::uintptr_t forward, backward;          // addresses of its row functions
  bool recurrent;                            // whether it reads the product with h
  Index first_rows;                          // rows of w_hh that multiply h; U for built-in cells
  Index products;                            // K: further products, which need H = C
  std::array<FurtherProduct, kMostProducts> further;

  Index blocks() const { return units / block_size; }
  Index state_width() const { return states * units; }  // D C
  Index gates_width() const { return kind == CellKind::described ? tape * units : net_inputs; }
  // Width of the cell's output m before a projection: H, or C with a projection.
  Index cell_output() const { return projection ? units : sources; }
  // Whether the errors of w_hh h differ from the errors of w_ih x.
  bool separate() const {
    return layer_norm || kind == CellKind::gru || kind == CellKind::described;
  }
};

// Positions of the numbers that layer normalisation keeps: the rates of w_hh h and w_ih x, and the
// mean and rate of the state. They fill a cache line, which keeps rows aligned.
struct Norm {
  static constexpr Index product = 0, inputs = 1, state = 2;
};
constexpr Index kNorms = 16;

// Offsets of the parts of one row of the extra tape, which the backward pass needs besides gates;
// -1: the part is not kept.
struct Extra {
  Index product = -1;    // [U] LN(w_hh h) before its scale
  Index recurrent = -1;  // [C] r_n + b of gru without layer normalisation
  Index output = -1;     // [C] cell output before a projection
  Index inputs = -1;     // [U] LN(w_ih x) before its scale, if the kernel normalises it
  Index source = -1;     // [H] the factor of w_hh, if it is not the output of the step before
  Index vectors = -1;    // [K, C] the factors of the further products
  Index norms = -1;      // [kNorms] with layer normalisation: Norm
  Index width = 0;       // of a row

  Extra(const Recurrence& r, bool sources, bool norms_inputs) {
    const auto add = [this](Index& part, Index n) { part = width, width += n; };
    if (r.layer_norm) add(product, r.net_inputs);
    if (r.kind == CellKind::gru && !r.layer_norm) add(recurrent, r.units);
    if (r.projection) add(output, r.units);
    if (norms_inputs) add(inputs, r.net_inputs);
    if (sources) add(source, r.sources);
    if (r.products) add(vectors, r.products * r.units);
    if (r.layer_norm) add(norms, kNorms);
  }
};

template <class Real>
struct Weights {
  // Matrices are in the numbers of Sequence::storage: Real, 16 bits, or int8.
  const void* w_hh;     // [U, H]
  const void* w_ih;     // [U, I] or null: x holds net inputs
  const Real* bias;     // [U] or null; null for described cells, whose x includes it
  const Real* unit;     // [P, C] or null
  const void* w_hr;     // [H, C] or null
  const Real* ln_ih;    // [U] or null: net inputs are normalised already
  const Real* ln_hh;    // [U] or null
  const Real* ln_c;     // [2, C] or null
  const Real* fresh_h;  // [H] hidden state after a reset, or null: zero
  const Real* fresh_s;  // [D C] states after a reset, or null: zero
  const Real* drop;     // [B, H] dropout factors of h, or null: one
  // Scales of the rows of matrices in int8, else null.
  const float *s_hh, *s_ih, *s_hr;  // [U] [U] [H]
};

template <class Real>
struct Window {
  Index steps, first;           // T, and the number of steps processed before this window
  bool reverse;
  const std::uint8_t* flags;    // [T, B] or null: bit 1 active, bit 2 reset
  const std::uint8_t* keep_h;   // [T, B, H] zoneout: 1 keeps the old value; or null
  const std::uint8_t* keep_s;   // [T, B, D C] or null
  double zone_h, zone_s;        // without masks: share of the old value in the new one

  // Forward.
  const Real* x;                // [T, B, U]; may be `gates`, unless the cell is described
  Real* out;                    // [T, B, H]
  Real* states;                 // [T, B, D C] or null: not kept
  Real* gates;                  // [T, B, gates_width()] or null: not kept
  Real* extra;                  // [T, B, Extra::width] or null: not kept

  // Backward. It reads out, states, gates and extra.
  const Real* h_enter;          // [B, H] hidden state before the window
  const Real* s_enter;          // [B, D C] states before the window
  const Real* d_out;            // [T, B, H] or null: zero
  const Real* d_states;         // [T, B, D C] or null: zero
  Real* d_x;                    // [T, B, U] errors of w_ih x
  Real* d_r;                    // [T, B, U] errors of w_hh h if separate(), else null
  Real* d_projected;            // [T, B, H] errors of w_hr m with a projection, else null
};

// One thread's sums of errors of the parameters that all steps share. The caller sets them to zero,
// backward() adds to them. Each is null if the layer has no such parameter.
template <class Real>
struct Shared {
  Real* unit;     // [P, C]
  Real* ln_ih;    // [U]
  Real* ln_hh;    // [U]
  Real* ln_c;     // [2, C]
  Real* fresh_h;  // [H]
  Real* fresh_s;  // [D C]
};

template <class Real>
struct Sequence {
  Recurrence recurrence;
  Weights<Real> weights;
  Index inputs;           // I, or 0 without w_ih
  Index batch;            // B
  int threads;            // of forward and backward: at most B, unless split
  int all_threads;        // of matrix products
  bool split;             // threads share the cells of every sequence, instead of the sequences
  int cut;                // of errors back in time: 0 none, -1 truncated, k every k steps
  bool learn;             // backward pass: weights are packed for errors
  bool unpacked;          // products read the weights as they are, for calls of few rows
  Storage storage;        // of matrices; backward: real
  bool sources;           // extra keeps sources: flags or drop may be given
  Extra extra() const { return {recurrence, sources, weights.ln_ih != nullptr}; }

  Real* packed;           // [packed_size()] all weights
  Real* h;                // [B, H] hidden state, read and written; backward: its error
  Real* s;                // [B, D C] states, read and written; backward: their errors
  Real* scratch;          // [threads, scratch_size()]
  std::vector<Shared<Real>> shared;  // [threads]; backward only
};

// Matrices of the gradient into += errors^T sources.
template <class Real>
struct Products {
  Index rows, outputs, width;
  Index errors_stride, stride;  // numbers from one row to the next, of errors and of sources
  const Real* errors;           // [rows, outputs]
  const Real* sources;          // [rows, width]
  Real* into;                   // [outputs, width]
  bool fresh = false;           // `into` is overwritten instead: into = errors^T sources
};

template <class Real>
struct SequenceKernel {
  bool (*splits)(const Sequence<Real>&);               // whether `split` is faster
  std::size_t (*packed_size)(const Sequence<Real>&);   // in numbers of Real
  std::size_t (*scratch_size)(const Sequence<Real>&);  // of one thread, in numbers of Real
  void (*pack)(Sequence<Real>&);                       // writes `packed`
  void (*forward)(const Sequence<Real>&, const Window<Real>&);
  void (*backward)(const Sequence<Real>&, const Window<Real>&);
  // Forward: into [rows, U] = x [rows, I] w_ih^T, plus the bias of a described cell.
  // Backward: into [rows, I] = x [rows, U] w_ih.
  void (*project)(const Sequence<Real>&, Index rows, const Real* x, Real* into);
  // values [rows, U] = LN(values) ln_ih. Fills its parts of extra [rows, Extra::width], unless null.
  void (*norm_inputs)(const Sequence<Real>&, Index rows, Real* values, Real* extra);
  // Replaces errors [rows, U] of normalised values by errors of the values before. Skips rows that
  // flags [rows] mark as padding; null: no padding.
  void (*norm_inputs_back)(const Sequence<Real>&, Index rows, const std::uint8_t* flags,
                           const Real* extra, Real* errors);
  // into [outputs, width] += errors^T sources.
  void (*add_products)(const Products<Real>&, int threads);
  // into [outputs] += sum of the rows of errors.
  void (*add_rows)(const Products<Real>&, int threads);
};

struct SequenceKernels {
  const char* name;
  SequenceKernel<float> single;
  SequenceKernel<double> twofold;
};

const std::vector<const SequenceKernels*>& sequence_kernels();

// Calls work(context, i) for i in 0..n-1, on the threads of an OpenMP runtime that is already
// loaded, or else on new threads.
void parallel(int n, void (*work)(void*, int), void* context);

template <class Work>
void parallel(int n, const Work& work) {
  parallel(n, [](void* w, int i) { (*static_cast<const Work*>(w))(i); },
           const_cast<void*>(static_cast<const void*>(&work)));
}

// Calls work(context, i, n) on n threads at the same time. Fewer may run than were asked for.
void together(int n, void (*work)(void*, int, int), void* context);

template <class Work>
void together(int n, const Work& work) {
  together(n, [](void* w, int i, int m) { (*static_cast<const Work*>(w))(i, m); },
           const_cast<void*>(static_cast<const void*>(&work)));
}

// A barrier for threads that run together.
class Meeting {
 public:
  void wait(int n);

 private:
  std::atomic<int> arrived_{0}, round_{0};
};

}  // namespace carrousel
