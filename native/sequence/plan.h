// Where everything lies that a thread works with, and which row function a cell has.
#pragma once

#include "sequence/blocks.h"
#include "sequence/product.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr Index kGroup = 18;                     // rows whose products stay near the core
constexpr Index kNearBytes = Index{1}
                             << 19;  // packed weights beyond this pass through for all rows at once

inline Index padded(Index n) { return (n + 15) / 16 * 16; }

// The packed part: weights (transposed on the way forward), and the start of sums.
template <class Real>
struct PackedParts {
  Packed<Real> recurrent, projection, inputs;
  Real* start;  // [stride of N]: bias that sums start from
  std::size_t size;

  explicit PackedParts(const Sequence<Real>& q) {
    const Recurrence& R = q.recurrence;
    const Index from = q.learn ? R.net_inputs : R.sources, to = q.learn ? R.sources : R.net_inputs;
    const Index out = q.learn ? R.units : R.sources, in = q.learn ? R.sources : R.units;
    Real* at = q.packed;
    const auto take = [&](std::size_t n) {
      Real* here = at;
      at = at ? at + n : at;
      size += n;
      return here;
    };
    size = 0;
    recurrent = {take(Packed<Real>::size(from, to)), from, to};
    projection = {nullptr, in, out};
    if (R.projection) projection.data = take(Packed<Real>::size(in, out));
    const Index wide = q.learn ? q.inputs : R.net_inputs, deep = q.learn ? R.net_inputs : q.inputs;
    inputs = {nullptr, deep, wide};
    if (q.weights.w_ih) inputs.data = take(Packed<Real>::size(deep, wide));
    start = take(static_cast<std::size_t>(Packed<Real>{nullptr, 0, R.net_inputs}.stride()));
  }
};

constexpr Index kFewToPack = 1 << 15;  // numbers not worth waking a thread for

template <class Real>
void pack_on(int threads, const Packed<Real>& to, const Real* w, bool turned) {
  const Index panels = panel_count(to);
  if (to.depth * to.width < kFewToPack) threads = 1;
  parallel(threads, [&](int i) {
    pack(const_cast<Real*>(to.data), to.depth, to.width, w, turned, panels * i / threads,
         panels * (i + 1) / threads);
  });
}

template <class Real>
void pack_parts(Sequence<Real>& q) {
  const Recurrence& R = q.recurrence;
  const PackedParts<Real> parts(q);
  pack_on(q.all_threads, parts.recurrent, q.weights.w_hh, !q.learn);
  if (R.projection) pack_on(q.all_threads, parts.projection, q.weights.w_hr, !q.learn);
  if (q.weights.w_ih) pack_on(q.all_threads, parts.inputs, q.weights.w_ih, !q.learn);
  // Of gru, the bias of n belongs to x (see gru_forward).
  const Index biased = R.kind == CellKind::gru ? 2 * R.units : R.net_inputs;
  std::fill_n(parts.start, Packed<Real>{nullptr, 0, R.net_inputs}.stride(), Real{0});
  if (q.weights.bias) std::copy_n(q.weights.bias, biased, parts.start);
}

// Units from..to-1 of a row, whole panels of them where threads share rows.
struct Part {
  Index from, to;
};

inline Part part_of(Index units, Index panel, int i, int n) {
  const Index panels = units / panel;
  return {panels * i / n * panel, panels * (i + 1) / n * panel};
}

// Whether threads had better share the units of every row than share out the rows: few rows, and
// weights that one core alone reads too slowly.
template <class Real>
bool splits(const Sequence<Real>& q) {
  const Recurrence& R = q.recurrence;
  const Index panel = kPanel * kLanes<Real>, bytes = R.net_inputs * R.sources * Index{sizeof(Real)};
  const bool can = R.kind != CellKind::lstm97 && R.kind != CellKind::described && !R.layer_norm &&
                   !R.projection && !q.sources && R.units % panel == 0 && R.units / panel >= 2;
  return can && q.all_threads > 1 &&
         (q.batch < q.all_threads ? bytes >= kNearBytes / 2
                                  : q.batch < 4 * q.all_threads && bytes > kNearBytes);
}

// A thread's rows of the batch, and its buffers.
template <class Real>
struct Share {
  Index first, rows, group;
  Real *sums;       // [group, stride of N or K]
  Real *projected;  // [group, stride of K or M]
  Real *cell;       // [group, max(K, cell_output)] outputs of cells, or errors of them
  Real *state;      // [2, rows, S M]
  Real *source;     // [group, max(K, M)] h * drop; errors that bypass the cell
  Real *kept;       // [group, S M] errors of states that bypass the cell
  Real *row;        // [4 M] of one row
  Real* spare;  // [max(G, K, M)] of one row: gates nobody keeps; errors of the hidden state itself
  Real *zeros;      // [S M]
  std::size_t size;

  Share(const Sequence<Real>& q, int thread) {
    const Recurrence& R = q.recurrence;
    const Index most = q.split ? q.batch : (q.batch + q.threads - 1) / q.threads;
    first = q.split ? 0 : std::min(q.batch, thread * most);
    rows = std::min(q.batch, first + most) - first;
    const PackedParts<Real> parts(q);
    const Index bytes = parts.recurrent.depth * parts.recurrent.stride() * Index{sizeof(Real)};
    const bool near = bytes <= kNearBytes;
    const Index groups = near ? (most + kGroup - 1) / kGroup : 1;
    group = groups ? (most + groups - 1) / groups : 0;
    size = 0;
    Real* at = q.scratch ? q.scratch : nullptr;
    const auto take = [&](Index n) {
      Real* here = at ? at + size : nullptr;
      size += static_cast<std::size_t>(padded(n));
      return here;
    };
    const auto build = [&] {
      size = 0;
      sums = take(group * parts.recurrent.stride());
      projected = take(R.projection ? group * parts.projection.stride() : 0);
      cell = take(group * std::max(R.sources, R.cell_output()));
      state = take(2 * most * R.state_width());
      source = take(group * std::max(R.sources, R.units));
      kept = take(group * R.state_width());
      row = take(4 * R.units);
      spare = take(std::max({R.gates_width(), R.sources, R.units}));
      zeros = take(R.state_width());
    };
    build();
    if (at) at += static_cast<std::size_t>(thread) * size, build();
  }
};

template <class Real> using DescribedForward =
    void (*)(std::int64_t, const Real*, const Real*, const Real*, const Real*, const Real*, Real*,
             Real*, Real*);
template <class Real> using DescribedBack =
    void (*)(std::int64_t, const Real*, const Real*, const Real*, const Real*, const Real*, Real*,
             Real*, Real*, Real*, Real*);

template <class Real>
void described_forward(const Sequence<Real>& q, const StepForward<Real>& t) {
  reinterpret_cast<DescribedForward<Real>>(q.recurrence.forward)(
      q.recurrence.units, t.x, t.r, t.s_prev, t.h_prev, q.weights.unit, t.s, t.m, t.gates);
}

template <class Real>
void described_back(const Sequence<Real>& q, const StepBack<Real>& t) {
  reinterpret_cast<DescribedBack<Real>>(q.recurrence.backward)(
      q.recurrence.units, t.gates, t.s_prev, t.h_prev, q.weights.unit, t.dm, t.ds, t.dx, t.dr, t.dh,
      t.shared->unit);
}

template <class Real>
inline void row_forward(const Sequence<Real>& q, const StepForward<Real>& t, Real* temporary) {
  switch (q.recurrence.kind) {
    case CellKind::lstm: return lstm_forward<CellKind::lstm>(q, t);
    case CellKind::peephole: return lstm_forward<CellKind::peephole>(q, t);
    case CellKind::coupled: return lstm_forward<CellKind::coupled>(q, t);
    case CellKind::no_output_gate: return lstm_forward<CellKind::no_output_gate>(q, t);
    case CellKind::lstm97: return lstm97_forward(q, t, temporary);
    case CellKind::gru: return gru_forward(q, t);
    case CellKind::rnn_tanh: return simple_forward<false>(t);
    case CellKind::rnn_relu: return simple_forward<true>(t);
    case CellKind::described: return described_forward(q, t);
  }
}

template <class Real>
inline void row_back(const Sequence<Real>& q, const StepBack<Real>& t) {
  switch (q.recurrence.kind) {
    case CellKind::lstm: return lstm_back<CellKind::lstm>(q, t);
    case CellKind::peephole: return lstm_back<CellKind::peephole>(q, t);
    case CellKind::coupled: return lstm_back<CellKind::coupled>(q, t);
    case CellKind::no_output_gate: return lstm_back<CellKind::no_output_gate>(q, t);
    case CellKind::lstm97: return lstm97_back(q, t);
    case CellKind::gru: return gru_back(q, t);
    case CellKind::rnn_tanh: return simple_back<false>(t);
    case CellKind::rnn_relu: return simple_back<true>(t);
    case CellKind::described: return described_back(q, t);
  }
}

// Whether the step before can be read from the outputs as they are: nothing stands between.
template <class Real>
bool direct(const Sequence<Real>& q, const Window<Real>& w) {
  return !w.flags && !w.keep_h && !w.keep_s && w.zone_h == 0 && w.zone_s == 0 && !q.weights.drop &&
         !q.recurrence.projection;
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
