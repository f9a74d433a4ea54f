// The forward pass: recurrent product, row function, and changes of the state between steps.
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
  const Index U = R.net_inputs, H = R.sources, DC = R.state_width(), C = R.units;
  const bool plain = direct(q, w);
  Part own_units{0, R.units};  // cells of this thread
  Meeting* meeting = nullptr;
  int team = 1;
  // Sums start from zero with layer normalisation, or if x includes the bias.
  const Real* const start = R.layer_norm || R.kind == CellKind::described ? nullptr : parts.start;

  const std::uint8_t* flag(Index t, Index b) const {
    return w.flags ? w.flags + t * q.batch + b : nullptr;
  }
  Real* kept(Index t, Index b, Index part) const {
    return w.extra && part >= 0 ? w.extra + (t * q.batch + b) * extra.width + part : nullptr;
  }

  // Where a row keeps its rates; null: not kept. norm_inputs() has set those that are not written to
  // zero, if it runs.
  Real* start_norms(Index t, Index b) const {
    Real* const norms = kept(t, b, extra.norms);
    if (norms && !q.weights.ln_ih) std::fill_n(norms, kNorms, Real{0});
    return norms;
  }

  // r [U] = LN(w_hh h) + bias, of rows b..b+rows-1. All rows first: the sums of one row hide behind
  // the rest of another.
  void norm(Index t, Index b, Index rows, Real* r) const {
    if (!R.layer_norm) return;
    for (Index i = 0; i < rows; ++i) {
      if (!is_active(t, b + i)) continue;
      Real* const norms = start_norms(t, b + i);
      normalise(U, q.weights.ln_hh, static_cast<const Real*>(parts.start),
                r + i * parts.recurrent.stride(), kept(t, b + i, extra.product),
                norms ? norms + Norm::product : nullptr);
    }
  }

  void cell(const Share<Real>& my, Index t, Index b, Real* r, const Real* s_prev,
            const Real* h_prev, Real* s, Real* m) const {
    const Index row = t * q.batch + b;
    Real* const norms = kept(t, b, extra.norms);
    StepForward<Real> step{w.x + row * U, r, s_prev, h_prev, s, m, nullptr,
                           kept(t, b, extra.recurrent)};
    if (norms) step.state = reinterpret_cast<Moments<Real>*>(norms + Norm::state);
    step.gates = w.gates ? w.gates + row * R.gates_width() : my.spare;
    step.begin = own_units.from, step.end = own_units.to;
    row_forward(q, step, my.row);
  }

  // w_hh h for the cells of this thread; h [rows, H].
  void recurrent(const Share<Real>& my, Index rows, const Real* h) const {
    if (!R.recurrent) return;
    const Rows<Real> factors = factors_of(rows, parts.recurrent, h, H, my.narrow);
    if (own_units.from == 0 && own_units.to == C)
      return weigh(q, rows, parts.recurrent, q.weights.w_hh, factors, start, my.sums);
    constexpr Index panel = kPanel * kLanes<Real>;
    for (Index at = 0; at < U; at += C)
      product(rows, parts.recurrent, factors, start, my.sums, (at + own_units.from) / panel,
              (at + own_units.to) / panel);
  }

  // Rows b..b+rows-1 of a step, if the hidden state is the output of the step before.
  void plain_group(const Share<Real>& my, Index t, Index before, Index b, Index rows,
                   int side) const {
    const bool entering = before < 0;
    const Real* const h = entering ? q.h + b * H : w.out + (before * q.batch + b) * H;
    recurrent(my, rows, h);
    norm(t, b, rows, my.sums);
    for (Index i = 0; i < rows; ++i) {
      const Index row = t * q.batch + b + i;
      const auto local = [&](int which) {
        return my.state + ((which ? my.rows : 0) + b - my.first + i) * DC;
      };
      const Real* s_prev = entering  ? q.s + (b + i) * DC
                           : w.states ? w.states + (before * q.batch + b + i) * DC
                                      : local(1 - side);
      Real* const s = w.states ? w.states + row * DC : local(side);
      cell(my, t, b + i, my.sums + i * parts.recurrent.stride(), s_prev, h + i * H, s,
           w.out + row * H);
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
    const Real* const s = w.states ? w.states + (before * q.batch + my.first) * DC
                                   : my.state + ((w.steps - 1) % 2 ? my.rows : 0) * DC;
    for (Index b = 0; b < my.rows; ++b) {
      const Index row = my.first + b, n = own_units.to - own_units.from, wide = n == C ? H : n;
      std::copy_n(w.out + (before * q.batch + row) * H + own_units.from, wide,
                  q.h + row * H + own_units.from);
      for (Index at = 0; at < DC; at += C)
        std::copy_n(s + b * DC + at + own_units.from, n, q.s + row * DC + at + own_units.from);
    }
  }

  void enter(Index t, Index b) const {
    const std::uint8_t* f = flag(t, b);
    if (!f || !(*f & 2)) return;
    const auto renew = [](const Real* fresh, Index n, Real* to) {
      if (fresh) std::copy_n(fresh, n, to);
      else std::fill_n(to, n, Real{0});
    };
    renew(q.weights.fresh_h, H, q.h + b * H), renew(q.weights.fresh_s, DC, q.s + b * DC);
  }

  // Zoneout: to [n] becomes fresh [n], or keeps its value, or mixes both.
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
    Real *const h = q.h + b * H, *const s = q.s + b * DC;
    if (active) {
      hand_on(H, h_new, w.keep_h ? w.keep_h + row * H : nullptr, w.zone_h, h);
      hand_on(DC, s_new, w.keep_s ? w.keep_s + row * DC : nullptr, w.zone_s, s);
      std::copy_n(h, H, w.out + row * H);
    } else {
      std::fill_n(w.out + row * H, H, Real{0});
    }
    if (w.states) std::copy_n(s, DC, w.states + row * DC);
  }

  // A padded step leaves zeros on the tape, because matrix products of the backward pass read them.
  void rest(Index t, Index b, Real* m) const {
    std::fill_n(m, R.cell_output(), Real{0}), start_norms(t, b);
    for (const auto [part, n] : {std::pair{extra.product, U}, std::pair{extra.recurrent, C},
                                 std::pair{extra.vectors, R.products * C}})
      if (Real* keep = kept(t, b, part)) std::fill_n(keep, n, Real{0});
    if (w.gates)
      std::fill_n(w.gates + (t * q.batch + b) * R.gates_width(), R.gates_width(), Real{0});
  }

  bool is_active(Index t, Index b) const {
    const std::uint8_t* f = flag(t, b);
    return !f || (*f & 1);
  }

  // nets [rows, U]: the product with h, then each further product, after its factor is computed.
  void further_products(const Share<Real>& my, Index t, Index b, Index rows) const {
    const Index wide = padded(U);
    for (Index i = 0; R.recurrent && i < rows; ++i)
      std::copy_n(my.sums + i * parts.recurrent.stride(), R.first_rows, my.nets + i * wide);
    for (Index k = 0; k < R.products; ++k) {
      const FurtherProduct& p = R.further[k];
      for (Index i = 0; i < rows; ++i) {
        Real* const v = my.vectors + i * C;
        if (!is_active(t, b + i)) {
          std::fill_n(v, C, Real{0});
          continue;
        }
        reinterpret_cast<DescribedSource<Real>>(p.source)(
            C, w.x + (t * q.batch + b + i) * U, my.nets + i * wide, q.s + (b + i) * DC,
            q.h + (b + i) * H, q.weights.unit, v);
        if (Real* keep = kept(t, b + i, extra.vectors)) std::copy_n(v, C, keep + k * C);
      }
      product<Real>(rows, parts.further[k], {my.vectors, C}, nullptr, my.further);
      for (Index i = 0; i < rows; ++i)
        std::copy_n(my.further + i * parts.further[k].stride(), p.rows,
                    my.nets + i * wide + p.first);
    }
  }

  void group(const Share<Real>& my, Index t, Index b, Index rows) const {
    bool any = false;
    for (Index i = 0; i < rows; ++i) {
      enter(t, b + i);
      any = any || is_active(t, b + i);
      if (Real* keep = kept(t, b + i, extra.source)) std::copy_n(q.h + (b + i) * H, H, keep);
    }
    const Real* source = q.h + b * H;
    if (any && q.weights.drop) {
      for (Index i = 0; i < rows * H; ++i) my.source[i] = source[i] * q.weights.drop[b * H + i];
      source = my.source;
    }
    const Index stride = parts.recurrent.stride(), wide = R.cell_output();
    if (any) {
      recurrent(my, rows, source);
      norm(t, b, rows, my.sums);
    }
    if (any && R.products) further_products(my, t, b, rows);
    const Index r_stride = R.products ? padded(U) : stride;
    Real* const r = R.products ? my.nets : my.sums;
    for (Index i = 0; i < rows; ++i) {
      if (!is_active(t, b + i)) rest(t, b + i, my.cell + i * wide);
      else
        cell(my, t, b + i, r + i * r_stride, q.s + (b + i) * DC, q.h + (b + i) * H,
             my.state + i * DC, my.cell + i * wide);
      if (Real* keep = kept(t, b + i, extra.output)) std::copy_n(my.cell + i * wide, wide, keep);
    }
    const Real* h_new = my.cell;
    Index h_stride = wide;
    if (any && R.projection) {
      weigh<Real>(q, rows, parts.projection, q.weights.w_hr,
                  factors_of(rows, parts.projection, my.cell, wide, my.narrow), nullptr,
                  my.projected);
      h_new = my.projected, h_stride = parts.projection.stride();
    }
    for (Index i = 0; i < rows; ++i)
      leave(t, b + i, is_active(t, b + i), h_new + i * h_stride, my.state + i * DC);
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
