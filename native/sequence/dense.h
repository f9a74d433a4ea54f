// Matrix products over all rows of a window: net inputs, and gradients of weights.
#pragma once

#include "sequence/plan.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

constexpr Index kDepth = 512;  // rows of a window that one pass over the gradients adds

constexpr Index kNarrow = 96;  // rows of a window that are rounded to int8 at a time
constexpr Index kAhead = 4;    // rows between a prefetch and its use
constexpr Index kFew = 1 << 16;  // smaller products run on one thread

// Slice i of n of the range 0..total-1; its ends are multiples of `grain`.
struct Slice {
  Index from, to;
  Slice(Index total, Index grain, int i, int n) {
    const Index pieces = (total + grain - 1) / grain;
    from = std::min(total, pieces * i / n * grain),
    to = std::min(total, pieces * (i + 1) / n * grain);
  }
};

// c [rows, width] = start [width] + a [rows, depth] w, where the rows of c have no padding.
template <class Real>
void dense_product(Index rows, const Packed<Real>& w, const Rows<Real>& a, const Real* start,
                   Real* c) {
  constexpr Index lanes = kLanes<Real>;
  const Index last = panel_count(w) - 1;
  const bool whole = w.width % lanes == 0;
  panels(w, 0, whole ? last + 1 : last, [&](auto vectors, Index at) {
    panel_times_rows<Real, vectors()>(rows, w, a, at, start ? start + at : nullptr, c + at,
                                      w.width);
  });
  if (whole) return;
  constexpr Index wide = kPanel * lanes, group = 6;
  alignas(64) Real some[group * wide];
  panels(w, last, last + 1, [&](auto vectors, Index at) {
    for (Index r = 0; r < rows; r += group) {
      const Index n = std::min(group, rows - r);
      panel_times_rows<Real, vectors()>(n, w, a.from(r), at, start ? start + at : nullptr, some,
                                        wide);
      for (Index i = 0; i < n; ++i)
        std::copy_n(some + i * wide, w.width - at, c + (r + i) * w.width + at);
    }
  });
}

// into [rows, columns] += sum over k of a[k, row] b[k, column], of `vectors` vectors of columns.
// With `fresh`, into = that sum.
template <class Real, int rows, int vectors>
void outer_tile(Index depth, const Real* a, Index a_stride, const Real* b, Index b_stride,
                Real* into, Index stride, Index columns, bool fresh) {
  constexpr int lanes = kLanes<Real>;
  const auto given = [&](int v) {
    return static_cast<int>(std::min<Index>(lanes, columns - v * lanes));
  };
  Vec<Real> sums[rows][vectors] = {};  // partial sums: one long sum rounds more
  for (Index k = 0; k < depth; ++k) {
    Vec<Real> w[vectors];
    for (int v = 0; v < vectors; ++v) w[v] = load(b + k * b_stride + v * lanes);
    for (int r = 0; r < rows; ++r) {
      const Vec<Real> factor = all(a[k * a_stride + r]);
      for (int v = 0; v < vectors; ++v) sums[r][v] += factor * w[v];
    }
  }
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v) {
      Real* const to = into + r * stride + v * lanes;
      if (fresh) store(to, sums[r][v], given(v));
      else add(to, sums[r][v], given(v));
    }
}

template <class Real, int vectors>
void outer_panel(const Products<Real>& p, Slice mine, Index first, Index depth, Index at,
                 const Real* b, Index b_stride) {
  constexpr Index most = 6;
  const Index columns = p.width - at;
  const auto run = [&](auto rows, Index n) {
    outer_tile<Real, rows(), vectors>(depth, p.errors + first * p.errors_stride + n,
                                      p.errors_stride, b, b_stride, p.into + n * p.width + at,
                                      p.width, columns, p.fresh && first == 0);
  };
  Index n = mine.from;
  for (; n + most <= mine.to; n += most) run(std::integral_constant<int, most>{}, n);
  for (; n + 2 <= mine.to; n += 2) run(std::integral_constant<int, 2>{}, n);
  if (n < mine.to) run(std::integral_constant<int, 1>{}, n);
}

// One thread's rows of the gradient: all columns, kDepth rows of the window at a time.
template <class Real>
void add_products_of(const Products<Real>& p, Slice mine, Real* filled) {
  constexpr Index lanes = kLanes<Real>;
  if (mine.from == mine.to) return;
  for (Index first = 0; first < p.rows; first += kDepth) {
    const Index depth = std::min(kDepth, p.rows - first);
    panels(Packed<Real>{nullptr, 0, p.width}, 0, panel_count(Packed<Real>{nullptr, 0, p.width}),
           [&](auto vectors, Index at) {
             // Copied to adjacent rows: rows far apart would share a few sets of the cache.
             const Index stride = vectors() * lanes, given = std::min(stride, p.width - at);
             for (Index k = 0; k < depth; ++k)
               std::copy_n(p.sources + (first + k) * p.stride + at, given, filled + k * stride);
             outer_panel<Real, vectors()>(p, mine, first, depth, at, filled, stride);
           });
  }
}

template <class Real>
void add_products(const Products<Real>& p, int threads) {
  if (p.rows * p.outputs * p.width < kFew) threads = 1;
  const Index wide = std::min(kDepth, p.rows) * kPanel * kLanes<Real>;
  std::vector<Real> filled(static_cast<std::size_t>(wide * threads));
  parallel(threads, [&](int i) {
    add_products_of(p, Slice(p.outputs, 6, i, threads), filled.data() + i * wide);
  });
}

template <class Real>
void add_rows(const Products<Real>& p, int threads) {
  if (p.rows * p.outputs < kFew) threads = 1;
  parallel(threads, [&](int i) {
    const Slice mine(p.outputs, kLanes<Real>, i, threads);
    constexpr Index stretch = 64;  // partial sums round less than one long sum
    for (Index row = 0; row < p.rows; row += stretch)
      units<Real>(mine.from, mine.to, [&](Index u, int n) {
        Vec<Real> sum{};
        for (Index k = row; k < std::min(p.rows, row + stretch); ++k)
          sum += load(p.errors + k * p.errors_stride + u, n);
        add(p.into + u, sum, n);
      });
  });
}

template <class Real>
void project(const Sequence<Real>& q, Index rows, const Real* x, Real* into) {
  const PackedParts<Real> parts(q);
  const Packed<Real>& w = parts.inputs;
  const bool biased = !q.learn && q.recurrence.kind == CellKind::described;
  const Real* const start = biased ? parts.start : nullptr;
  const Real* const w_ih = static_cast<const Real*>(q.weights.w_ih);
  if (q.unpacked && q.learn)
    return times(rows, w_ih, w.width, w.depth, x, w.depth, into, w.width);
  if (q.unpacked)
    return times_turned(rows, w_ih, w.width, w.depth, x, w.depth, start, into, w.width);
  const int threads = rows * w.depth * w.width < kFew ? 1 : q.all_threads;
  parallel(threads, [&](int i) {
    const Slice mine(rows, 6, i, threads);
    // All rows at once, unless their copy in int8 needs memory.
    const bool narrow = w.storage == Storage::int8;
    const Index most = narrow ? std::min(kNarrow, mine.to - mine.from) : mine.to - mine.from;
    std::vector<Real> room(static_cast<std::size_t>(narrow ? narrow_size(most, w.depth) : 0));
    for (Index first = mine.from; first < mine.to; first += most) {
      const Index n = std::min(most, mine.to - first);
      dense_product(n, w, factors_of(n, w, x + first * w.depth, w.depth, room.data()),
                    start, into + first * w.width);
    }
  });
}

template <class Real>
void norm_inputs(const Sequence<Real>& q, Index rows, Real* values, Real* kept) {
  const Index U = q.recurrence.net_inputs;
  const Extra extra = q.extra();
  const int threads = rows * U < kFew ? 1 : q.all_threads;
  parallel(threads, [&](int i) {
    const Slice mine(rows, 1, i, threads);
    for (Index row = mine.from; row < mine.to; ++row) {
      Real* const keep = kept ? kept + row * extra.width : nullptr;
      if (keep) std::fill_n(keep + extra.norms, kNorms, Real{0});
      normalise<Real>(U, q.weights.ln_ih, nullptr, values + row * U,
                      keep ? keep + extra.inputs : nullptr,
                      keep ? keep + extra.norms + Norm::inputs : nullptr);
    }
  });
}

template <class Real>
void norm_inputs_back(const Sequence<Real>& q, Index rows, const std::uint8_t* flags,
                      const Real* kept, Real* errors) {
  const Index U = q.recurrence.net_inputs;
  const Extra extra = q.extra();
  parallel(q.threads, [&](int i) {
    const Slice mine(rows, 1, i, q.threads);
    for (Index row = mine.from; row < mine.to; ++row) {
      if (flags && !(flags[row] & 1)) continue;  // padding: its errors are zero
      const Real* const keep = kept + row * extra.width;
      Real* const e = errors + row * U;
      if (row + kAhead < mine.to) prefetch(keep + kAhead * extra.width + extra.inputs, U);
      normalise_back<Real>(U, keep + extra.inputs, keep[extra.norms + Norm::inputs],
                           q.weights.ln_ih, e, q.shared[static_cast<std::size_t>(i)].ln_ih, e);
    }
  });
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
