// Approximations of real-time recurrent learning that cost O(1) per weight and step.
#pragma once

#include "paths/back.h"
#include "paths/sensitivities.h"
#include "common/signs.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// SnAp-1: keeps the sensitivities of the activations and states that a weight changes within one
// step. A weight into a simple unit keeps that of the unit, a weight into a cell those of the cell.
// A weight into a gate keeps those of the gate and of the cells of its block; an output gate
// changes no cell state within a step.
struct Restricted {
  static void advance(const Plan& p, const PathPlan& x, Index k, const Factors& f, ivec symbol) {
    for (Index m = 0; m < x.S; ++m) {
      const vec z = source_of(p, x, k, m, symbol);
      for (Index u = 0; u < p.U; ++u) {
        vec* const kept = x.p + (m * p.U + u) * x.kept;
        if (p.shape.memory())
          memory_unit(p, f, u, z, kept);
        else
          kept[0] = f.rate[u] * fma(weight(p, u, u), kept[0], z);
      }
    }
  }

  static void learn(const Plan& p, const PathPlan& x, vec scale, ivec lanes) {
    const Index size = p.shape.block_size;
    for (Index m = 0; m < x.S; ++m) {
      vec* const into = p.accumulate ? x.gradients(p, m) : x.weights(p, m);
      const vec* factors = p.at_once(x.rate_factors(p, m));
      for (Index u = 0; u < p.U; ++u) {
        if (x.is_bias(m) && !p.shape.biased(u)) continue;
        const vec* kept = x.p + (m * p.U + u) * x.kept;
        vec sum = splat(0.0f);
        if (p.shape.memory()) {
          const Reach r(p, u);
          for (Index c = r.from; c < r.to; ++c)
            sum = fma(p.back[c], kept[1 + size + c - r.from], sum);
        } else {
          sum = p.back[u] * kept[0];
        }
        change(lanes, into[u], scale, factors, u, sum);
      }
    }
  }

 private:
  // The cells that the weights into a unit change within one step.
  struct Reach {
    Index block, from, to;
    bool cell, state;
    Reach(const Plan& p, Index u) {
      const Index first = p.shape.first_cell(), size = p.shape.block_size;
      cell = u >= first && u < first + p.C;
      state = u < first + p.C;
      block = cell ? (u - first) / size : u < first ? u % p.blocks : u - first - p.C;
      from = cell ? u - first : block * size;
      to = cell ? from + 1 : from + size;
    }
  };

  static vec weight(const Plan& p, Index from, Index to) {
    const Index m = p.source_of[from];
    return m < 0 ? splat(0.0f) : p.hidden_w[(p.dense_inputs + m) * p.U + to];
  }

  // kept [x.kept] holds sensitivities of the unit's activation, then of the states, then of the
  // activations of the cells of Reach.
  static void memory_unit(const Plan& p, const Factors& f, Index u, vec z, vec* kept) {
    const Reach r(p, u);
    const Index first = p.shape.first_cell(), outs = first + p.C;
    vec *const ds = kept + 1, *const dy = ds + p.shape.block_size;
    const vec own = kept[0];
    vec before[kMost];
    const Index cells = r.to - r.from;
    for (Index i = 0; i < cells && i < kMost; ++i) before[i] = dy[i];
    const auto net = [&](Index to) {
      vec sum = to == u ? z : splat(0.0f);
      if (!r.cell) sum = fma(weight(p, u, to), own, sum);
      for (Index i = 0; i < cells; ++i)
        sum = fma(weight(p, first + r.from + i, to), before[i], sum);
      return sum;
    };
    const vec in = net(r.block);
    const vec forget = p.shape.forget_gate ? net(p.blocks + r.block) : splat(0.0f);
    const vec out = p.shape.output_gate ? net(outs + r.block) : splat(0.0f);
    if (!r.cell) kept[0] = f.rate[u] * net(u);
    for (Index i = 0; i < cells; ++i) {
      const Index c = r.from + i;
      const vec gates = fma(f.forget[c], forget, fma(f.in[c], in, f.keep[c] * ds[i]));
      const vec s = fma(f.cell[c], net(first + c), gates);
      dy[i] = fma(f.through[c], s, f.show[c] * out);
      ds[i] = r.state ? s : splat(0.0f);
    }
  }

 public:
  static constexpr Index kMost = 64;  // most cells of a block
};

// UORO: sensitivities are the outer product of q [n] and p [S, U]; see kernels/reference/paths.py.
struct RankOne {
  static void advance(const Plan& p, const PathPlan& x, Index k, const Factors& f, ivec symbol,
                      ivec live) {
    net_inputs(p, x);
    if (p.shape.memory())
      through_cells(p, x, f);
    else
      for (Index u = 0; u < p.U; ++u) x.q[u] = f.rate[u] * x.nets[u];
    for (Index u = 0; u < p.U; ++u) x.error_y[u] = x.signs[u];
    for (Index c = 0; c < x.n - p.U; ++c) x.error_s[c] = x.signs[p.U + c];
    GoingBack::by_net(p, f, x.error_y, x.error_s, x.error_net);
    vec sources = splat(0.0f), before = sources, carried = sources, net = sources;
    for (Index m = 0; m < x.S; ++m) {
      const vec z = source_of(p, x, k, m, symbol);
      sources = fma(z, z, sources);
      for (Index u = 0; u < p.U; ++u) before = fma(x.p[m * p.U + u], x.p[m * p.U + u], before);
    }
    for (Index u = 0; u < p.U; ++u) net = fma(x.error_net[u], x.error_net[u], net);
    for (Index i = 0; i < x.n; ++i) carried = fma(x.q[i], x.q[i], carried);
    const vec r0 = balance(before, carried), keep = 1.0f / r0;
    const vec r1 = balance(net * sources, splat(static_cast<float>(x.n))), share = 1.0f / r1;
    for (Index i = 0; i < x.n; ++i)
      x.q[i] = live ? fma(r0, x.q[i], r1 * x.signs[i]) : splat(0.0f);
    for (Index m = 0; m < x.S; ++m) {
      const vec z = source_of(p, x, k, m, symbol) * share;
      for (Index u = 0; u < p.U; ++u) {
        vec& w = x.p[m * p.U + u];
        w = fma(x.error_net[u], z, keep * w);
      }
    }
  }

  static void learn(const Plan& p, const PathPlan& x, vec scale, ivec lanes) {
    vec error = splat(0.0f);
    for (Index c = 0; c < p.C; ++c)
      error = fma(p.back[c], x.q[p.shape.first_cell() + c], error);
    for (Index m = 0; m < x.S; ++m) {
      vec* const into = p.accumulate ? x.gradients(p, m) : x.weights(p, m);
      const vec* factors = p.at_once(x.rate_factors(p, m));
      for (Index u = 0; u < p.U; ++u)
        if (!x.is_bias(m) || p.shape.biased(u))
          change(lanes, into[u], scale, factors, u, error * x.p[m * p.U + u]);
    }
  }

  // Random signs of one lane at one of its steps.
  static void draw(const PathPlan& x, int lane, std::uint64_t seed, std::uint64_t step) {
    draw_signs(seed, step, x.n, [&](Index i, bool positive) {
      x.signs[i][lane] = positive ? 1.0f : -1.0f;
    });
  }

 private:
  // x.nets = W_recurrent q.
  static void net_inputs(const Plan& p, const PathPlan& x) {
    const vec* const weights = GoingBack::recurrent(p);
    in_blocks<8>(p.U, [&]<int Count>(Index first) {
      vec sum[Count] = {};
      for (Index m = 0; m < p.n_fed; ++m) {
        const vec q = x.q[p.fed[m]];
        const vec* w = weights + m * p.U + first;
        for (int i = 0; i < Count; ++i) sum[i] = fma(w[i], q, sum[i]);
      }
      for (int i = 0; i < Count; ++i) x.nets[first + i] = sum[i];
    });
  }

  // q = J_state q, from x.nets.
  static void through_cells(const Plan& p, const PathPlan& x, const Factors& f) {
    const vec* const net = x.nets;
    const Index first = p.shape.first_cell(), outs = first + p.C;
    vec *const dy = x.q, *const ds = x.q + p.U;
    for (Index u = 0; u < first; ++u) dy[u] = f.rate[u] * net[u];
    for (Index u = outs; u < p.U; ++u) dy[u] = f.rate[u] * net[u];
    for (Index j = 0, c = 0; j < p.blocks; ++j)
      for (Index v = 0; v < p.shape.block_size; ++v, ++c) {
        vec sum = fma(f.in[c], net[j], f.keep[c] * ds[c]);
        sum = fma(f.cell[c], net[first + c], sum);
        if (p.shape.forget_gate) sum = fma(f.forget[c], net[p.blocks + j], sum);
        ds[c] = sum;
        dy[first + c] = f.through[c] * sum;
        if (p.shape.output_gate) dy[first + c] = fma(f.show[c], net[outs + j], dy[first + c]);
      }
  }

  // (above / below)^(1/4) of two squared norms; 1 if one is zero.
  static vec balance(vec above, vec below) {
    vec r = splat(1.0f);
    for (int lane = 0; lane < V; ++lane)
      if (above[lane] > 0.0f && below[lane] > 0.0f)
        r[lane] = __builtin_sqrtf(__builtin_sqrtf(above[lane]) / __builtin_sqrtf(below[lane]));
    return r;
  }
};

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
