// The cell of 1997 on one row: the cells of a block share their gates, there is no forget gate, and
// gates may be recurrent sources (Hochreiter & Schmidhuber 1997, eqs. 3-9).
#pragma once

#include "sequence/cells.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// The logistic function scaled to [-range, range], as a tanh, which is accurate for small x.
template <class Real>
inline Vec<Real> scaled(Vec<Real> x, Real range) {
  return range * hyperbolic_tangent(x * Real{0.5});
}
template <class Real>
inline Vec<Real> slope_of_scaled(Vec<Real> y, Real range) {
  return (range * range - y * y) * (Real{0.5} / range);
}

// Copies gate [blocks] to `to` [C], once for each cell of a block, and returns it. Returns `gate`
// itself if blocks have one cell.
template <class Real>
const Real* spread(Index C, Index size, const Real* gate, Real* to) {
  if (size == 1) return gate;
  for (Index u = 0; u < C; ++u) to[u] = gate[u / size];
  return to;
}

// Sums from [C] over the cells of each block into gate [blocks], unless blocks have one cell.
template <class Real>
void gather(Index C, Index size, const Real* from, Real* gate) {
  if (size == 1) return;
  for (Index b = 0; b < C / size; ++b) {
    Real total = 0;
    for (Index i = 0; i < size; ++i) total += from[b * size + i];
    gate[b] = total;
  }
}

// The argument of the squashing function h: c, or L(c) with layer normalisation.
template <class Real>
inline Vec<Real> normed(Vec<Real> c, const Real* ln, Moments<Real> at, Index C, Index u, int n) {
  if (!ln) return c;
  return (c - at.mean) * at.rate * load(ln + u, n) + load(ln + C + u, n);
}

template <class Real>
void lstm97_forward(const Sequence<Real>& q, const StepForward<Real>& t, Real* temporary) {
  const Recurrence& R = q.recurrence;
  const Index C = R.units, blocks = R.blocks(), g_at = blocks, o_at = blocks + C;
  const Real* const ln = q.weights.ln_c;
  const auto g_range = static_cast<Real>(R.g_range), h_range = static_cast<Real>(R.h_range);
  for (const Index at : {Index{0}, o_at})
    units<Real>(blocks, [&](Index u, int n) {
      store(t.gates + at + u, sigmoid(load(t.x + at + u, n) + load(t.r + at + u, n)), n);
    });
  const Real* const i = spread(C, R.block_size, t.gates, temporary);
  units<Real>(C, [&](Index u, int n) {
    const Vec<Real> g = scaled(load(t.x + g_at + u, n) + load(t.r + g_at + u, n), g_range);
    store(t.gates + g_at + u, g, n);
    store(t.s + u, load(t.s_prev + u, n) + load(i + u, n) * g, n);
  });
  const Real* const o = spread(C, R.block_size, t.gates + o_at, temporary);
  const Moments<Real> at = ln ? moments(C, t.s) : Moments<Real>{};
  if (ln && t.state) *t.state = at;
  units<Real>(C, [&](Index u, int n) {
    const Vec<Real> c = normed(load(t.s + u, n), ln, at, C, u, n);
    store(t.m + u, load(o + u, n) * scaled(c, h_range), n);
  });
  if (!R.gate_sources) return;
  std::memcpy(t.m + C, t.gates, sizeof(Real) * blocks);
  std::memcpy(t.m + C + blocks, t.gates + o_at, sizeof(Real) * blocks);
}

// Replaces the errors dx [blocks] of a gate's activations y [blocks] by those of its net inputs. A
// gate that is a recurrent source adds its part of dm, from_source [blocks], else null.
template <class Real>
void block_gates_back(Index blocks, const Real* y, const Real* from_source, Real* dx) {
  units<Real>(blocks, [&](Index u, int n) {
    Vec<Real> e = load(dx + u, n);
    if (from_source) e += load(from_source + u, n);
    store(dx + u, e * slope_of_sigmoid<Real>(load(y + u, n)), n);
  });
}

template <class Real>
void lstm97_back(const Sequence<Real>& q, const StepBack<Real>& t) {
  const Recurrence& R = q.recurrence;
  const Index C = R.units, blocks = R.blocks(), size = R.block_size;
  const Index g_at = blocks, o_at = blocks + C;
  const Real* const ln = q.weights.ln_c;
  const auto g_range = static_cast<Real>(R.g_range), h_range = static_cast<Real>(R.h_range);
  Real *const c_row = t.temporary, *const wide = c_row + C, *const errors = wide + C,
              *const d_c = errors + C;
  const Real* const i = spread(C, size, t.gates, wide);
  units<Real>(C, [&](Index u, int n) {
    store(c_row + u, load(t.s_prev + u, n) + load(i + u, n) * load(t.gates + g_at + u, n), n);
  });
  const Moments<Real> at = ln ? *t.state : Moments<Real>{};
  const Real* const o = spread(C, size, t.gates + o_at, wide);
  Real* const d_o = size == 1 ? t.dx + o_at : errors;
  NormSums<Real> sums;
  units<Real>(C, [&](Index u, int n) {
    const Vec<Real> c = load(c_row + u, n), e = load(t.dm + u, n);
    const Vec<Real> y = scaled(normed(c, ln, at, C, u, n), h_range);
    Vec<Real> error = e * load(o + u, n) * slope_of_scaled(y, h_range);
    store(d_o + u, e * y, n);
    if (ln) {
      const Vec<Real> unit = (c - at.mean) * at.rate;
      add(t.shared->ln_c + u, error * unit, n);
      add(t.shared->ln_c + C + u, error, n);
      error *= load(ln + u, n), sums.add(error, unit);
    }
    store(d_c + u, error, n);
  });
  const NormErrors<Real> means = sums.means(C);
  gather(C, size, d_o, t.dx + o_at);
  const Real* const again = spread(C, size, t.gates, wide);
  Real* const d_i = size == 1 ? t.dx : errors;
  units<Real>(C, [&](Index u, int n) {
    const Vec<Real> g = load(t.gates + g_at + u, n);
    Vec<Real> dc = load(d_c + u, n);
    if (ln) dc = means.back(dc, (load(c_row + u, n) - at.mean) * at.rate, at.rate);
    dc += load(t.ds + u, n);
    store(t.ds + u, dc, n), store(d_i + u, dc * g, n);
    store(t.dx + g_at + u, dc * load(again + u, n) * slope_of_scaled(g, g_range), n);
  });
  gather(C, size, d_i, t.dx);
  const Real* const sources = R.gate_sources ? t.dm + C : nullptr;
  block_gates_back(blocks, t.gates, sources, t.dx);
  block_gates_back(blocks, t.gates + o_at, sources ? sources + blocks : nullptr, t.dx + o_at);
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
