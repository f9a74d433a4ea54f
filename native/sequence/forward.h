// The way forward: product, row function, and what stands between a step and the next.
#pragma once

#include "sequence/plan.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

template <class Real>
struct Forward {
  const Sequence<Real>& q;
  const Window<Real>& w;
  const Recurrence& R = q.recurrence;
  const PackedParts<Real> parts{q};
  const Extra extra = q.extra();
  const Index N = R.net_inputs, K = R.sources, SM = R.state_width(), M = R.units;
  const bool plain = direct(q, w);
  Part own_units{0, R.units};  // of this thread
  Meeting* meeting = nullptr;
  int team = 1;
  // With a norm, or where the bias belongs to x, sums start from zero.
  const Real* const start = R.layer_norm || R.kind == CellKind::described ? nullptr : parts.start;

  const std::uint8_t* flag(Index t, Index b) const {
    return w.flags ? w.flags + t * q.batch + b : nullptr;
  }
  Real* kept(Index t, Index b, Index part) const {
    return w.extra && part >= 0 ? w.extra + (t * q.batch + b) * extra.width + part : nullptr;
  }

  // r = LN(w_hh h) + bias, of one row.
  void norm(Index t, Index b, Real* r) const {
    if (!R.layer_norm) return;
    if (Real* keep = kept(t, b, extra.product)) std::copy_n(r, N, keep);
    normalise(N, q.weights.ln_hh, static_cast<const Real*>(parts.start), r);
  }

  void cell(const Share<Real>& my, Index t, Index b, Real* r, const Real* s_prev,
            const Real* h_prev, Real* s, Real* m) const {
    const Index row = t * q.batch + b;
    norm(t, b, r);
    StepForward<Real> step{
        w.x + row * N, r, s_prev, h_prev, s, m, nullptr, kept(t, b, extra.recurrent)};
    step.gates = w.gates ? w.gates + row * R.gates_width() : my.spare;
    step.begin = own_units.from, step.end = own_units.to;
    row_forward(q, step, my.row);
  }

  // w_hh h for the units of this thread.
  void recurrent(const Share<Real>& my, Index rows, const Real* h) const {
    if (own_units.from == 0 && own_units.to == M)
      return product(rows, parts.recurrent, h, K, start, my.sums);
    constexpr Index panel = kPanel * kLanes<Real>;
    for (Index at = 0; at < N; at += M)
      product(rows, parts.recurrent, h, K, start, my.sums, (at + own_units.from) / panel,
              (at + own_units.to) / panel);
  }

  // Rows b.. of a step whose hidden state is the output of the step before.
  void plain_group(const Share<Real>& my, Index t, Index before, Index b, Index rows,
                   int side) const {
    const bool entering = before < 0;
    const Real* const h = entering ? q.h + b * K : w.out + (before * q.batch + b) * K;
    recurrent(my, rows, h);
    for (Index i = 0; i < rows; ++i) {
      const Index row = t * q.batch + b + i;
      const auto local = [&](int which) {
        return my.state + ((which ? my.rows : 0) + b - my.first + i) * SM;
      };
      const Real* s_prev = entering  ? q.s + (b + i) * SM
                           : w.states ? w.states + (before * q.batch + b + i) * SM
                                      : local(1 - side);
      Real* const s = w.states ? w.states + row * SM : local(side);
      cell(my, t, b + i, my.sums + i * parts.recurrent.stride(), s_prev, h + i * K, s,
           w.out + row * K);
    }
  }

  void run_plain(const Share<Real>& my) const {
    Index before = -1;
    for (Index j = 0; j < w.steps; ++j) {
      const Index t = w.reverse ? w.steps - 1 - j : j;
      for (Index b = 0; b < my.rows; b += my.group)
        plain_group(my, t, before, my.first + b, std::min(my.group, my.rows - b), j % 2);
      before = t;
      if (meeting) meeting->wait(team);
    }
    if (before < 0) return;
    const Real* const s = w.states ? w.states + (before * q.batch + my.first) * SM
                                   : my.state + ((w.steps - 1) % 2 ? my.rows : 0) * SM;
    for (Index b = 0; b < my.rows; ++b) {
      const Index row = my.first + b, n = own_units.to - own_units.from, wide = n == M ? K : n;
      std::copy_n(w.out + (before * q.batch + row) * K + own_units.from, wide,
                  q.h + row * K + own_units.from);
      for (Index at = 0; at < SM; at += M)
        std::copy_n(s + b * SM + at + own_units.from, n, q.s + row * SM + at + own_units.from);
    }
  }

  void enter(Index t, Index b) const {
    const std::uint8_t* f = flag(t, b);
    if (!f || !(*f & 2)) return;
    const auto renew = [](const Real* fresh, Index n, Real* to) {
      if (fresh) std::copy_n(fresh, n, to);
      else std::fill_n(to, n, Real{0});
    };
    renew(q.weights.fresh_h, K, q.h + b * K), renew(q.weights.fresh_s, SM, q.s + b * SM);
  }

  // What is handed on: the new value, the old one, or some of both.
  static void hand_on(Index n, const Real* fresh, const std::uint8_t* keep, double zone, Real* to) {
    const Real share = static_cast<Real>(zone);
    if (keep)
      for (Index i = 0; i < n; ++i) to[i] = keep[i] ? to[i] : fresh[i];
    else if (zone != 0)
      for (Index i = 0; i < n; ++i) to[i] = fresh[i] + share * (to[i] - fresh[i]);
    else
      std::copy_n(fresh, n, to);
  }

  void leave(Index t, Index b, bool active, const Real* h_new, const Real* s_new) const {
    const Index row = t * q.batch + b;
    Real *const h = q.h + b * K, *const s = q.s + b * SM;
    if (active) {
      hand_on(K, h_new, w.keep_h ? w.keep_h + row * K : nullptr, w.zone_h, h);
      hand_on(SM, s_new, w.keep_s ? w.keep_s + row * SM : nullptr, w.zone_s, s);
      std::copy_n(h, K, w.out + row * K);
    } else {
      std::fill_n(w.out + row * K, K, Real{0});
    }
    if (w.states) std::copy_n(s, SM, w.states + row * SM);
  }

  // Padding leaves zeros, which the products of the way back meet.
  void rest(Index t, Index b, Real* m) const {
    std::fill_n(m, R.cell_output(), Real{0});
    for (const auto [part, n] : {std::pair{extra.product, N}, std::pair{extra.recurrent, M}})
      if (Real* keep = kept(t, b, part)) std::fill_n(keep, n, Real{0});
    if (w.gates)
      std::fill_n(w.gates + (t * q.batch + b) * R.gates_width(), R.gates_width(), Real{0});
  }

  bool is_active(Index t, Index b) const {
    const std::uint8_t* f = flag(t, b);
    return !f || (*f & 1);
  }

  void group(const Share<Real>& my, Index t, Index b, Index rows) const {
    bool any = false;
    for (Index i = 0; i < rows; ++i) {
      enter(t, b + i);
      any = any || is_active(t, b + i);
      if (Real* keep = kept(t, b + i, extra.source)) std::copy_n(q.h + (b + i) * K, K, keep);
    }
    const Real* source = q.h + b * K;
    if (any && q.weights.drop) {
      for (Index i = 0; i < rows * K; ++i) my.source[i] = source[i] * q.weights.drop[b * K + i];
      source = my.source;
    }
    const Index stride = parts.recurrent.stride(), wide = R.cell_output();
    if (any)
      product(rows, parts.recurrent, source, K, start, my.sums);
    for (Index i = 0; i < rows; ++i) {
      if (!is_active(t, b + i)) rest(t, b + i, my.cell + i * wide);
      else
        cell(my, t, b + i, my.sums + i * stride, q.s + (b + i) * SM, q.h + (b + i) * K,
             my.state + i * SM, my.cell + i * wide);
      if (Real* keep = kept(t, b + i, extra.output)) std::copy_n(my.cell + i * wide, wide, keep);
    }
    const Real* h_new = my.cell;
    Index h_stride = wide;
    if (any && R.projection) {
      product<Real>(rows, parts.projection, my.cell, wide, nullptr, my.projected);
      h_new = my.projected, h_stride = parts.projection.stride();
    }
    for (Index i = 0; i < rows; ++i)
      leave(t, b + i, is_active(t, b + i), h_new + i * h_stride, my.state + i * SM);
  }

  void run(int thread) const {
    const Share<Real> my(q, thread);
    if (plain) return run_plain(my);
    for (Index j = 0; j < w.steps; ++j) {
      const Index t = w.reverse ? w.steps - 1 - j : j;
      for (Index b = 0; b < my.rows; b += my.group)
        group(my, t, my.first + b, std::min(my.group, my.rows - b));
    }
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
