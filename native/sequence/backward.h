// The backward pass: row function, product of errors, and changes of the state between steps.
#pragma once

#include "sequence/plan.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

template <class Real>
struct Backward {
  const Sequence<Real>& q;
  const Window<Real>& w;
  const Recurrence& R = q.recurrence;
  const PackedParts<Real> parts{q};
  const Extra extra = q.extra();
  const Index U = R.net_inputs, H = R.sources, DC = R.state_width(), C = R.units;
  const bool plain = direct(q, w);
  Part own_units{0, R.units};  // cells of this thread, and as many columns of w_hh
  Meeting* meeting = nullptr;
  int team = 1;
  const bool own_hidden =
      !R.projection && (R.kind == CellKind::gru || R.kind == CellKind::described);

  bool is_active(Index t, Index b) const { return !w.flags || (w.flags[t * q.batch + b] & 1); }
  bool is_reset(Index t, Index b) const { return w.flags && (w.flags[t * q.batch + b] & 2); }
  Index stride_of_cell() const { return R.projection ? parts.projection.stride() : H; }

  // States and hidden state at the start of a step.
  const Real* state_before(Index t, Index before, Index b, const Real* zeros) const {
    if (is_reset(t, b)) return q.weights.fresh_s ? q.weights.fresh_s : zeros;
    return before < 0 ? w.s_enter + b * DC : w.states + (before * q.batch + b) * DC;
  }
  const Real* hidden_before(Index t, Index before, Index b) const {
    if (extra.source >= 0) return w.extra + (t * q.batch + b) * extra.width + extra.source;
    return before < 0 ? w.h_enter + b * H : w.out + (before * q.batch + b) * H;
  }

  // Errors of w_hh h from those of the net inputs, through layer normalisation.
  void norm(Index t, Index b, const Real* dx, const Shared<Real>& shared) const {
    const Index row = t * q.batch + b;
    const Real* const kept = w.extra + row * extra.width;
    normalise_back(U, kept + extra.product, kept[extra.norms + Norm::product], q.weights.ln_hh, dx,
                   shared.ln_hh, w.d_r + row * U);
  }

  void cell(const Share<Real>& my, Index t, Index before, Index b, const Real* dm, Real* ds,
            Real* dh, const Shared<Real>& shared, const Real* dv = nullptr) const {
    const Index row = t * q.batch + b;
    StepBack<Real> step{w.gates + row * R.gates_width(), nullptr,
                        state_before(t, before, b, my.zeros), hidden_before(t, before, b), nullptr,
                        dm, ds, w.d_x + row * U, w.d_r ? w.d_r + row * U : nullptr, dh, my.row,
                        &shared};
    step.begin = own_units.from, step.end = own_units.to, step.dv = dv;
    const Real* const kept = extra.width ? w.extra + row * extra.width : nullptr;
    if (extra.recurrent >= 0) step.recurrent = kept + extra.recurrent;
    if (extra.norms >= 0)
      step.state = reinterpret_cast<const Moments<Real>*>(kept + extra.norms + Norm::state);
    if (R.kind == CellKind::gru && R.layer_norm) step.recurrent = restored(my, row);
    if (b + 1 < q.batch) {
      prefetch(w.gates + (row + 1) * R.gates_width(), R.gates_width());
      if (R.layer_norm) prefetch(kept + extra.width + extra.product, U);
    }
    row_back(q, step);
    const bool two = R.kind == CellKind::gru || R.kind == CellKind::described;
    if (R.layer_norm) norm(t, b, two ? step.dr : step.dx, shared);
  }

  // r_n + b of a gru with layer normalisation.
  const Real* restored(const Share<Real>& my, Index row) const {
    const Real* const normed = w.extra + row * extra.width + extra.product;
    units<Real>(C, [&](Index u, int n) {
      const Index k = 2 * C + u;
      Vec<Real> r = load(normed + k, n) * load(q.weights.ln_hh + k, n);
      if (q.weights.unit) r += load(q.weights.unit + u, n);
      store(my.row + u, r, n);
    });
    return my.row;
  }

  // Splits the error of a state after zoneout: `through` reaches the cell, `past` the old state.
  static void split(Index n, const std::uint8_t* keep, double zone, Real* through, Real* past) {
    const Real share = static_cast<Real>(zone);
    for (Index i = 0; i < n; ++i) {
      past[i] = keep ? (keep[i] ? through[i] : Real{0}) : share * through[i];
      through[i] = keep ? (keep[i] ? Real{0} : through[i]) : through[i] - past[i];
    }
  }

  void arrive(const Share<Real>& my, Index t, Index b, Index i) const {
    const Index row = t * q.batch + b;
    Real *const h = q.h + b * H, *const s = q.s + b * DC;
    Real* const e = my.source + i * std::max(H, C);
    Real* const to = my.cell + i * std::max(H, R.cell_output());
    if (w.d_states)
      for (Index k = 0; k < DC; ++k) s[k] += w.d_states[row * DC + k];
    if (!is_active(t, b)) {
      std::fill_n(to, H, Real{0});
    } else {
      for (Index k = 0; k < H; ++k) to[k] = h[k] + (w.d_out ? w.d_out[row * H + k] : Real{0});
      if (w.keep_h || w.zone_h != 0)
        split(H, w.keep_h ? w.keep_h + row * H : nullptr, w.zone_h, to, e);
      else std::fill_n(e, H, Real{0});
      if (w.keep_s || w.zone_s != 0)
        split(DC, w.keep_s ? w.keep_s + row * DC : nullptr, w.zone_s, s, my.kept + i * DC);
      else std::fill_n(my.kept + i * DC, DC, Real{0});
    }
    if (w.d_projected) std::copy_n(to, H, w.d_projected + row * H);
  }

  void depart(const Share<Real>& my, Index t, Index j, Index b, Index i,
              const Shared<Real>& shared) const {
    Real *const h = q.h + b * H, *const s = q.s + b * DC;
    if (is_active(t, b)) {
      const Real* const e = my.source + i * std::max(H, C);
      const Real* const back = my.sums + i * parts.recurrent.stride();
      const Real* const drop = q.weights.drop ? q.weights.drop + b * H : nullptr;
      for (Index k = 0; k < H; ++k)
        h[k] = e[k] + (q.cut < 0 ? Real{0} : drop ? back[k] * drop[k] : back[k]);
      for (Index k = 0; k < DC; ++k) s[k] += my.kept[i * DC + k];
    }
    if (is_reset(t, b)) {
      if (shared.fresh_h)
        for (Index k = 0; k < H; ++k) shared.fresh_h[k] += h[k];
      if (shared.fresh_s)
        for (Index k = 0; k < DC; ++k) shared.fresh_s[k] += s[k];
      std::fill_n(h, H, Real{0}), std::fill_n(s, DC, Real{0});
    }
    if (cut_before(j)) std::fill_n(h, H, Real{0}), std::fill_n(s, DC, Real{0});
  }

  bool cut_before(Index j) const {
    return q.cut > 0 && w.first + j > 0 && (w.first + j) % q.cut == 0;
  }

  void group(const Share<Real>& my, Index t, Index before, Index j, Index b, Index rows,
             const Shared<Real>& shared) const {
    const Index wide = std::max(H, R.cell_output());
    for (Index i = 0; i < rows; ++i) arrive(my, t, b + i, i);
    const Real* dm = my.cell;
    Index stride = wide;
    if (R.projection) {
      weigh<Real>(q, rows, parts.projection, q.weights.w_hr, {my.cell, wide}, nullptr,
                  my.projected);
      dm = my.projected, stride = parts.projection.stride();
    }
    if (R.products) further_errors(my, t, before, b, rows, dm, stride);
    for (Index i = 0; i < rows; ++i) {
      const Index row = t * q.batch + b + i;
      if (!is_active(t, b + i)) {
        std::fill_n(w.d_x + row * U, U, Real{0});
        if (w.d_r) std::fill_n(w.d_r + row * U, U, Real{0});
        continue;
      }
      cell(my, t, before, b + i, dm + i * stride, q.s + (b + i) * DC, my.spare, shared,
           my.vectors + i * R.products * C);
      if (own_hidden) {
        Real* const e = my.source + i * std::max(H, C);
        for (Index k = 0; k < H; ++k) e[k] += my.spare[k];
      }
    }
    send_back(my, t, b, rows);
    for (Index i = 0; i < rows; ++i) depart(my, t, j, b + i, i, shared);
  }

  // vectors [rows, K, C]: errors of the factors of further products, from the last product on.
  void further_errors(const Share<Real>& my, Index t, Index before, Index b, Index rows,
                      const Real* dm, Index stride) const {
    const Index K = R.products;
    for (Index k = K - 1; k >= 0; --k) {
      const FurtherProduct& p = R.further[k];
      for (Index i = 0; i < rows; ++i) {
        const Index row = t * q.batch + b + i;
        Real* const dr = w.d_r + row * U + p.first;
        if (is_active(t, b + i))
          reinterpret_cast<DescribedSourceBack<Real>>(p.back)(
              C, w.gates + row * R.gates_width(), state_before(t, before, b + i, my.zeros),
              hidden_before(t, before, b + i), q.weights.unit, dm + i * stride,
              q.s + (b + i) * DC, my.vectors + i * K * C, dr);
        else std::fill_n(dr, p.rows, Real{0});
      }
      const Packed<Real>& weights = parts.further[k];
      if (q.cut >= 0)
        product<Real>(rows, weights, {w.d_r + (t * q.batch + b) * U + p.first, U}, nullptr,
                      my.further);
      else std::fill_n(my.further, rows * weights.stride(), Real{0});
      for (Index i = 0; i < rows; ++i)
        std::copy_n(my.further + i * weights.stride(), C, my.vectors + (i * K + k) * C);
    }
  }

  void send_back(const Share<Real>& my, Index t, Index b, Index rows) const {
    if (q.cut < 0) return;
    if (!R.recurrent) {
      std::fill_n(my.sums, rows * parts.recurrent.stride(), Real{0});
      return;
    }
    const Real* const errors = (w.d_r ? w.d_r : w.d_x) + (t * q.batch + b) * U;
    constexpr Index panel = kPanel * kLanes<Real>;
    if (own_units.from == 0 && own_units.to == C)
      weigh<Real>(q, rows, parts.recurrent, q.weights.w_hh, {errors, U}, nullptr, my.sums);
    else
      product<Real>(rows, parts.recurrent, {errors, U}, nullptr, my.sums, own_units.from / panel,
                    own_units.to / panel);
  }

  // The same as group(), if the hidden state is the output of the step before.
  void plain_group(const Share<Real>& my, Index t, Index before, Index j, Index b, Index rows,
                   const Shared<Real>& shared) const {
    Real* const dm = my.cell;
    const Index from = own_units.from, to = own_units.to == C ? H : own_units.to;
    for (Index i = 0; i < rows; ++i) {
      const Index row = t * q.batch + b + i;
      const Real* const h = q.h + (b + i) * H;
      Real* const s = q.s + (b + i) * DC;
      if (w.d_out)
        units<Real>(from, to, [&](Index u, int n) {
          store(dm + u, load(h + u, n) + load(w.d_out + row * H + u, n), n);
        });
      else std::copy_n(h + from, to - from, dm + from);
      if (w.d_states)
        for (Index at = 0; at < DC; at += C)
          units<Real>(at + from, at + own_units.to,
                      [&](Index u, int n) { add(s + u, load(w.d_states + row * DC + u, n), n); });
      cell(my, t, before, b + i, dm, s, my.source + i * std::max(H, C), shared);
    }
    if (meeting) meeting->wait(team);
    send_back(my, t, b, rows);
    for (Index i = 0; i < rows; ++i) {
      Real* const h = q.h + (b + i) * H;
      if (q.cut < 0) std::fill_n(h + from, to - from, Real{0});
      else std::copy_n(my.sums + i * parts.recurrent.stride() + from, to - from, h + from);
      if (own_hidden)
        units<Real>(from, to, [&](Index u, int n) {
          add(h + u, load(my.source + i * std::max(H, C) + u, n), n);
        });
      if (!cut_before(j)) continue;
      std::fill_n(h + from, to - from, Real{0});
      for (Index at = 0; at < DC; at += C)
        std::fill_n(q.s + (b + i) * DC + at + from, own_units.to - from, Real{0});
    }
  }

  void run(int thread) const {
    const Share<Real> my(q, thread);
    const Shared<Real>& shared = q.shared[static_cast<std::size_t>(thread)];
    std::fill_n(my.zeros, DC, Real{0});
    for (Index j = w.steps - 1; j >= 0; --j) {
      const Index t = w.reverse ? w.steps - 1 - j : j;
      const Index before = j == 0 ? -1 : w.reverse ? t + 1 : t - 1;
      for (Index b = 0; b < my.rows; b += my.group) {
        const Index rows = std::min(my.group, my.rows - b);
        if (plain) plain_group(my, t, before, j, my.first + b, rows, shared);
        else group(my, t, before, j, my.first + b, rows, shared);
      }
    }
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
