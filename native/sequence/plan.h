// Layout of packed weights and of each thread's buffers, and the row function of each cell.
#pragma once

#include "sequence/blocks.h"
#include "sequence/product.h"
#include "sequence/unpacked.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr Index kGroup = 18;  // rows whose products fit into the core's own cache
// Packed weights that are larger than this are read once for all rows.
constexpr Index kNearBytes = Index{1} << 19;

inline Index padded(Index n) { return (n + 15) / 16 * 16; }

// Parts of Sequence::packed: weights (transposed for the forward pass), and the start of sums.
template <class Real>
struct PackedParts {
  Packed<Real> recurrent, projection, inputs;
  std::array<Packed<Real>, kMostProducts> further{};
  Real* start;  // [U, padded to whole vectors]: the bias, from which sums start
  std::size_t size;

  explicit PackedParts(const Sequence<Real>& q) {
    const Recurrence& R = q.recurrence;
    const Index from = q.learn ? R.first_rows : R.sources, to = q.learn ? R.sources : R.first_rows;
    const Index out = q.learn ? R.units : R.sources, in = q.learn ? R.sources : R.units;
    Real* at = q.packed;
    const auto take = [&](std::size_t n) {
      Real* here = at;
      n = static_cast<std::size_t>(padded(static_cast<Index>(n)));
      at = at ? at + n : at;
      size += n;
      return here;
    };
    size = 0;
    const auto packed = [&](bool given, Index depth, Index width) {
      Packed<Real> part{nullptr, depth, width, q.storage};
      if (given && !q.unpacked) part.data = take(part.size());
      return part;
    };
    recurrent = packed(true, from, to);
    projection = packed(R.projection, in, out);
    for (Index k = 0; k < R.products; ++k) {
      const Index rows = R.further[k].rows;
      const Index height = q.learn ? rows : R.units, breadth = q.learn ? R.units : rows;
      further[k] = {nullptr, height, breadth};
      further[k].data = take(further[k].size());
    }
    const Index wide = q.learn ? q.inputs : R.net_inputs, deep = q.learn ? R.net_inputs : q.inputs;
    inputs = packed(q.weights.w_ih != nullptr, deep, wide);
    start = take(static_cast<std::size_t>(Packed<Real>{nullptr, 0, R.net_inputs}.stride()));
  }
};

constexpr Index kFewToPack = 1 << 15;  // matrices with fewer numbers are packed by one thread

template <class Real>
void pack_on(int threads, const Packed<Real>& to, const void* w, const float* scales, bool turned) {
  const Index panels = panel_count(to);
  if (to.depth * to.width < kFewToPack) threads = 1;
  parallel(threads, [&](int i) {
    const Index from = panels * i / threads, end = panels * (i + 1) / threads;
    if (to.storage != Storage::real) return pack_stored(to, w, scales, from, end);
    pack(const_cast<Real*>(to.data), to.depth, to.width, static_cast<const Real*>(w), turned, from,
         end);
  });
}

template <class Real>
void pack_parts(Sequence<Real>& q) {
  const Recurrence& R = q.recurrence;
  const PackedParts<Real> parts(q);
  const auto& w = q.weights;
  if (!q.unpacked) {
    pack_on(q.all_threads, parts.recurrent, w.w_hh, w.s_hh, !q.learn);
    if (R.projection) pack_on(q.all_threads, parts.projection, w.w_hr, w.s_hr, !q.learn);
    if (w.w_ih) pack_on(q.all_threads, parts.inputs, w.w_ih, w.s_ih, !q.learn);
  }
  for (Index k = 0; k < R.products; ++k)
    pack_on(q.all_threads, parts.further[k],
            static_cast<const Real*>(w.w_hh) + R.further[k].first * R.sources, nullptr, !q.learn);
  // gru_forward() adds the bias of n to x.
  const Index biased = R.kind == CellKind::gru ? 2 * R.units : R.net_inputs;
  std::fill_n(parts.start, Packed<Real>{nullptr, 0, R.net_inputs}.stride(), Real{0});
  if (q.weights.bias) std::copy_n(q.weights.bias, biased, parts.start);
}

// Cells from..to-1 of a row; whole panels if threads share rows.
struct Part {
  Index from, to;
};

inline Part part_of(Index units, Index panel, int i, int n) {
  const Index panels = units / panel;
  return {panels * i / n * panel, panels * (i + 1) / n * panel};
}

// Whether threads should share the cells of every row instead of sharing the rows. This is faster
// if rows are few and the weights are too large for one core to read quickly.
template <class Real>
bool splits(const Sequence<Real>& q) {
  const Recurrence& R = q.recurrence;
  const Index panel = kPanel * kLanes<Real>, bytes = R.net_inputs * PackedParts<Real>(q).recurrent.column_bytes();
  const bool can = R.kind != CellKind::lstm97 && R.kind != CellKind::described && !R.layer_norm &&
                   !R.projection && !q.sources && R.units % panel == 0 && R.units / panel >= 2;
  return can && q.all_threads > 1 &&
         (q.batch < q.all_threads ? bytes >= kNearBytes / 2
                                  : q.batch < 4 * q.all_threads && bytes > kNearBytes);
}

// One thread's rows of the batch, and its buffers. Strides are widths padded to whole vectors.
template <class Real>
struct Share {
  Index first, rows, group;
  Real *sums;       // [group, stride of U or H]
  Real *projected;  // [group, stride of H or C]
  Real *cell;       // [group, max(H, cell_output)] outputs of cells, or errors of them
  Real *state;      // [2, rows, D C]
  Real *source;     // [group, max(H, C)] h * drop; backward: errors that bypass the cell
  Real *kept;       // [group, D C] errors of states that bypass the cell
  Real *row;        // [4 C] temporary values of one row
  Real *spare;      // [max(gates_width(), H, C)] of one row: gates not kept; errors of h
  Real *zeros;      // [D C]
  Real *nets;       // [group, padded U] r of several products
  Real *vectors;    // [group, K, C] factors of further products, or errors of them
  Real *further;    // [group, padded max(U, C)] a further product
  Real *narrow;     // [narrow_size(group)] factors of matrices in int8
  std::size_t size;

  Share(const Sequence<Real>& q, int thread) {
    const Recurrence& R = q.recurrence;
    const Index most = q.split ? q.batch : (q.batch + q.threads - 1) / q.threads;
    first = q.split ? 0 : std::min(q.batch, thread * most);
    rows = std::min(q.batch, first + most) - first;
    const PackedParts<Real> parts(q);
    const Index bytes = parts.recurrent.column_bytes() * parts.recurrent.stride();
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
      nets = take(R.products ? group * padded(R.net_inputs) : 0);
      vectors = take(group * R.products * R.units);
      further = take(R.products ? group * padded(std::max(R.net_inputs, R.units)) : 0);
      const Index deep = std::max(R.sources, R.units);
      narrow = take(q.storage == Storage::int8 ? narrow_size(group, deep) : 0);
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

template <class Real> using DescribedBackOfSeveral =
    void (*)(std::int64_t, const Real*, const Real*, const Real*, const Real*, const Real*, Real*,
             Real*, Real*, Real*, Real*, const Real*);
template <class Real> using DescribedSource =
    void (*)(std::int64_t, const Real*, const Real*, const Real*, const Real*, const Real*, Real*);
template <class Real> using DescribedSourceBack =
    void (*)(std::int64_t, const Real*, const Real*, const Real*, const Real*, const Real*,
             const Real*, const Real*, Real*);

template <class Real>
void described_forward(const Sequence<Real>& q, const StepForward<Real>& t) {
  reinterpret_cast<DescribedForward<Real>>(q.recurrence.forward)(
      q.recurrence.units, t.x, t.r, t.s_prev, t.h_prev, q.weights.unit, t.s, t.m, t.gates);
}

template <class Real>
void described_back(const Sequence<Real>& q, const StepBack<Real>& t) {
  if (q.recurrence.products)
    return reinterpret_cast<DescribedBackOfSeveral<Real>>(q.recurrence.backward)(
        q.recurrence.units, t.gates, t.s_prev, t.h_prev, q.weights.unit, t.dm, t.ds, t.dx, t.dr,
        t.dh, t.shared->unit, t.dv);
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

// c [rows, packed.stride()] = start + a w, or a w^T in the forward pass. `w` holds the weights of
// `packed` in the layout of the caller; start must be null in the backward pass.
template <class Real>
void weigh(const Sequence<Real>& q, Index rows, const Packed<Real>& packed, const void* w,
           const Rows<Real>& a, const Real* start, Real* c) {
  if (!q.unpacked) return product(rows, packed, a, start, c);
  const Index width = packed.width, depth = packed.depth, stride = packed.stride();
  const Real* const weights = static_cast<const Real*>(w);
  if (q.learn) times(rows, weights, width, depth, a.data, a.stride, c, stride);
  else times_turned(rows, weights, width, depth, a.data, a.stride, start, c, stride);
}

// Whether the outputs of a step are the hidden state of the next step, unchanged.
template <class Real>
bool direct(const Sequence<Real>& q, const Window<Real>& w) {
  return !w.flags && !w.keep_h && !w.keep_s && w.zone_h == 0 && w.zone_s == 0 && !q.weights.drop &&
         !q.recurrence.projection && !q.recurrence.products;
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
