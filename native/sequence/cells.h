// The equations of the cells on one row (one sequence at one step), forward and backward. The table
// of equations is in contracts/recurrence.py.
#pragma once

#include "sequence/norm.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Rows of one forward step. r is w_hh h plus the bias (gru: without the bias of n, which is added
// to x). Rows do not overlap unless a comment says so.
template <class Real>
struct StepForward {
  const Real *x, *r, *s_prev, *h_prev;  // [U] [U] [D C] [H]
  Real *s, *m;                          // [D C], may be s_prev; [cell_output()]
  Real* gates;                          // [gates_width()], may be x
  Real* recurrent;                      // [C] of gru, or null
  Moments<Real>* state;                 // of the state, if it is normalised; null: not kept
  Index begin, end;                     // cells to compute: all, unless threads share a row
};

// Rows of one backward step; gates, recurrent, s_prev, h_prev and state are those of
// StepForward.
template <class Real>
struct StepBack {
  const Real *gates, *recurrent, *s_prev, *h_prev;
  const Moments<Real>* state;
  const Real* dm;              // [cell_output()] error of m
  Real* ds;                    // [D C] in: error of s; out: error of s_prev
  Real *dx, *dr;               // [U] errors of x and r; only gru and described cells write dr
  Real* dh;                    // [H] error of h_prev itself; gru and described cells write it
  Real* temporary;             // [2 C]
  const Shared<Real>* shared;  // the step adds to these sums
  Index begin, end;            // as in StepForward
  const Real* dv = nullptr;    // [K, C] errors of the factors of further products
};

template <class Real> inline Vec<Real> slope_of_sigmoid(Vec<Real> y) { return y - y * y; }

// --- cells with a state c ----------------------------------------------------------------------

// The gates of a cell, and their positions in the net inputs.
template <CellKind kind>
struct Gates {
  static constexpr bool peephole = kind == CellKind::peephole;
  static constexpr bool forget =
      kind == CellKind::lstm || kind == CellKind::no_output_gate || peephole;
  static constexpr bool output = kind != CellKind::no_output_gate;
  static constexpr bool coupled = kind == CellKind::coupled;
  static constexpr Index f = 1, g = forget ? 2 : 1, o = g + 1;  // positions in multiples of C; i: 0
};

// m = o tanh(L(c)), from the stored gates and state; o is null without an output gate.
template <class Real>
void normed_output(Index C, const Real* c, const Real* o, const Real* ln, Moments<Real>* kept,
                   Real* m) {
  const auto at = moments(C, c);
  if (kept) *kept = at;
  units<Real>(C, [&](Index u, int n) {
    const Vec<Real> unit = (load(c + u, n) - at.mean) * at.rate;
    Vec<Real> y = hyperbolic_tangent(unit * load(ln + u, n) + load(ln + C + u, n));
    if (o) y *= load(o + u, n);
    store(m + u, y, n);
  });
}

template <CellKind kind, class Real>
void lstm_forward(const Sequence<Real>& q, const StepForward<Real>& t) {
  using P = Gates<kind>;
  const Index C = q.recurrence.units;
  const Real* p = q.weights.unit;
  const bool normed = q.weights.ln_c != nullptr;
  units<Real>(t.begin, t.end, [&](Index u, int n) {
    const auto net = [&](Index gate) {
      return load(t.x + gate * C + u, n) + load(t.r + gate * C + u, n);
    };
    const auto keep = [&](Index gate, Vec<Real> y) { store(t.gates + gate * C + u, y, n); };
    const Vec<Real> before = load(t.s_prev + u, n);
    Vec<Real> ai = net(0), af{}, ag = net(P::g), ao{};
    if constexpr (P::forget) af = net(P::f);
    if constexpr (P::output) ao = net(P::o);
    if constexpr (P::peephole) ai += load(p + u, n) * before, af += load(p + C + u, n) * before;
    const Vec<Real> i = sigmoid(ai), g = hyperbolic_tangent(ag);
    Vec<Real> f = Real{1} - i;
    if constexpr (P::forget) f = sigmoid(af), keep(P::f, f);
    const Vec<Real> c = f * before + i * g;
    keep(0, i), keep(P::g, g), store(t.s + u, c, n);
    Vec<Real> o = all(Real{1});
    if constexpr (P::output) {
      if constexpr (P::peephole) ao += load(p + 2 * C + u, n) * c;
      o = sigmoid(ao), keep(P::o, o);
    }
    if (!normed) store(t.m + u, o * hyperbolic_tangent(c), n);
  });
  if (normed)
    normed_output(C, t.s, P::output ? t.gates + P::o * C : nullptr, q.weights.ln_c, t.state, t.m);
}

// Errors of o and of LN(c) through m = o tanh(L(c)), for all cells of a row.
template <class Real>
NormErrors<Real> normed_output_back(Index C, const Real* c, Moments<Real> at, const Real* o,
                                    const Real* ln, const Real* dm, const Shared<Real>& shared,
                                    Real* d_o, Real* d_c) {
  NormSums<Real> sums;
  units<Real>(C, [&](Index u, int n) {
    const Vec<Real> unit = (load(c + u, n) - at.mean) * at.rate;
    const Vec<Real> y = hyperbolic_tangent(unit * load(ln + u, n) + load(ln + C + u, n));
    Vec<Real> e = load(dm + u, n);
    if (o) store(d_o + u, e * y, n), e *= load(o + u, n);
    e *= Real{1} - y * y;
    add(shared.ln_c + u, e * unit, n), add(shared.ln_c + C + u, e, n);
    e *= load(ln + u, n);
    store(d_c + u, e, n), sums.add(e, unit);
  });
  return sums.means(C);
}

template <CellKind kind, class Real>
void lstm_back(const Sequence<Real>& q, const StepBack<Real>& t) {
  using P = Gates<kind>;
  const Index C = q.recurrence.units;
  const Real* p = q.weights.unit;
  const bool normed = q.weights.ln_c != nullptr, through_peepholes = q.cut >= 0;
  Real *const c_row = t.temporary, *const d_c = t.temporary + C;
  const auto state = [&](Index u, int n) {
    const Vec<Real> i = load(t.gates + u, n), before = load(t.s_prev + u, n);
    const Vec<Real> f = P::forget ? load(t.gates + P::f * C + u, n) : Real{1} - i;
    return f * before + i * load(t.gates + P::g * C + u, n);
  };
  NormErrors<Real> means{};
  if (normed) {
    units<Real>(C, [&](Index u, int n) { store(c_row + u, state(u, n), n); });
    // dx holds the error of o until the error of its net input replaces it.
    means = normed_output_back(C, c_row, *t.state, P::output ? t.gates + P::o * C : nullptr,
                               q.weights.ln_c, t.dm, *t.shared,
                               P::output ? t.dx + P::o * C : nullptr, d_c);
  }
  units<Real>(t.begin, t.end, [&](Index u, int n) {
    const auto gate = [&](Index k) { return load(t.gates + k * C + u, n); };
    const Vec<Real> before = load(t.s_prev + u, n), i = gate(0), g = gate(P::g);
    Vec<Real> f = Real{1} - i, o = all(Real{1});
    if constexpr (P::forget) f = gate(P::f);
    if constexpr (P::output) o = gate(P::o);
    const Vec<Real> c = f * before + i * g;
    Vec<Real> dc = load(t.ds + u, n), d_o{};
    if (normed) {
      dc += means.back(load(d_c + u, n), (c - t.state->mean) * t.state->rate, t.state->rate);
      if constexpr (P::output) d_o = load(t.dx + P::o * C + u, n);
    } else {
      const Vec<Real> y = hyperbolic_tangent(c), e = load(t.dm + u, n);
      d_o = e * y, dc += e * o * (Real{1} - y * y);
    }
    if constexpr (P::output) {
      const Vec<Real> da = d_o * slope_of_sigmoid<Real>(o);
      store(t.dx + P::o * C + u, da, n);
      if constexpr (P::peephole) {
        add(t.shared->unit + 2 * C + u, da * c, n);
        if (through_peepholes) dc += da * load(p + 2 * C + u, n);
      }
    }
    const Vec<Real> di = dc * (P::coupled ? g - before : g) * slope_of_sigmoid<Real>(i);
    store(t.dx + u, di, n);
    store(t.dx + P::g * C + u, dc * i * (Real{1} - g * g), n);
    Vec<Real> back = dc * f;
    if constexpr (P::forget) {
      const Vec<Real> df = dc * before * slope_of_sigmoid<Real>(f);
      store(t.dx + P::f * C + u, df, n);
      if constexpr (P::peephole) {
        add(t.shared->unit + u, di * before, n), add(t.shared->unit + C + u, df * before, n);
        if (through_peepholes) back += di * load(p + u, n) + df * load(p + C + u, n);
      }
    }
    store(t.ds + u, back, n);
  });
}

// --- cells without a state ---------------------------------------------------------------------

template <class Real>
void gru_forward(const Sequence<Real>& q, const StepForward<Real>& t) {
  const Index C = q.recurrence.units;
  const Real* bias = q.weights.bias ? q.weights.bias + 2 * C : nullptr;
  units<Real>(t.begin, t.end, [&](Index u, int n) {
    const auto net = [&](Index k) { return load(t.x + k * C + u, n) + load(t.r + k * C + u, n); };
    const Vec<Real> r = sigmoid(net(0)), z = sigmoid(net(1));
    Vec<Real> back = load(t.r + 2 * C + u, n), x = load(t.x + 2 * C + u, n);
    if (q.weights.unit) back += load(q.weights.unit + u, n);
    if (bias) x += load(bias + u, n);
    const Vec<Real> y = hyperbolic_tangent(x + r * back);
    store(t.gates + u, r, n), store(t.gates + C + u, z, n), store(t.gates + 2 * C + u, y, n);
    if (t.recurrent) store(t.recurrent + u, back, n);
    store(t.m + u, y + z * (load(t.h_prev + u, n) - y), n);
  });
}

template <class Real>
void gru_back(const Sequence<Real>& q, const StepBack<Real>& t) {
  const Index C = q.recurrence.units;
  units<Real>(t.begin, t.end, [&](Index u, int n) {
    const auto gate = [&](Index k) { return load(t.gates + k * C + u, n); };
    const Vec<Real> r = gate(0), z = gate(1), y = gate(2), e = load(t.dm + u, n);
    const Vec<Real> dn = e * (Real{1} - z) * (Real{1} - y * y), back = load(t.recurrent + u, n);
    const Vec<Real> dr = dn * back * slope_of_sigmoid<Real>(r);
    const Vec<Real> dz = e * (load(t.h_prev + u, n) - y) * slope_of_sigmoid<Real>(z);
    store(t.dx + u, dr, n), store(t.dx + C + u, dz, n), store(t.dx + 2 * C + u, dn, n);
    const Vec<Real> through = dn * r;
    store(t.dr + u, dr, n), store(t.dr + C + u, dz, n), store(t.dr + 2 * C + u, through, n);
    if (t.shared->unit) add(t.shared->unit + u, through, n);
    store(t.dh + u, e * z, n);
  });
}

template <bool relu, class Real>
void simple_forward(const StepForward<Real>& t) {
  units<Real>(t.begin, t.end, [&](Index u, int n) {
    const Vec<Real> a = load(t.x + u, n) + load(t.r + u, n);
    const Vec<Real> y = relu ? (a < Real{0} ? Vec<Real>{} : a) : hyperbolic_tangent(a);
    store(t.gates + u, y, n), store(t.m + u, y, n);
  });
}

template <bool relu, class Real>
void simple_back(const StepBack<Real>& t) {
  units<Real>(t.begin, t.end, [&](Index u, int n) {
    const Vec<Real> y = load(t.gates + u, n), e = load(t.dm + u, n);
    store(t.dx + u, relu ? (y > Real{0} ? e : Vec<Real>{}) : e * (Real{1} - y * y), n);
  });
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
