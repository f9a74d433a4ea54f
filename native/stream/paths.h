// Gradients that are not truncated, computed forward in time: real-time recurrent learning, the same
// along some recurrent paths or with some sensitivities (see StreamReach), and its unbiased estimate
// of rank one. The equations are in kernels/reference/paths.py.
#pragma once

#include <algorithm>

#include "sequence/cells.h"
#include "stream/pass.h"
#include "stream/sparse.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Derivatives of the last step that all weights share.
template <class Real>
void step_slopes(StreamNet<Real>& net, const StreamState<Real>& state) {
  const StreamShape& shape = net.shape;
  const Index cell = shape.first_cell(), C = shape.cells();
  const SquasherOf<Real> h_of(shape.h);
  for (Index u = 0; u < shape.units(); ++u) net.slopes[u] = state.y[u] * (1 - state.y[u]);
  for (Index c = 0; c < C; ++c) {
    const Index out = cell + C + c / shape.block_size;
    net.through[c] = state.y[out] * h_of.slope(all(state.h[c]))[0];
    net.slopes[cell + c] = state.h[c] * net.slopes[out];
  }
}

// Derivatives of the net inputs of units nets [together] by the weights into `unit`: through the
// sensitivities of the step before, plus the immediate part. Computes `vectors` vectors of sources
// from m on.
template <Index together, Index vectors, class Real>
void carry_nets(StreamNet<Real>& net, const StreamState<Real>& state, Index unit, Index m,
                const Index* nets) {
  constexpr Index lanes = kLanes<Real>;
  const StreamShape& shape = net.shape;
  const Index stride = stream_stride<Real>(shape.sources());
  const StreamReach& reach = net.reach[static_cast<std::size_t>(unit)];
  // Every unit whose sensitivities are kept is fed back. Without gates, only cells are.
  const Index to_source = shape.inputs - (shape.gates_fed_back ? 0 : shape.first_cell());
  const Real* row = state.sensitivities + reach.row * stride + m;
  Vec<Real> sums[together][vectors] = {};
  for (const Index from : reach.units) {
    const Real* const weights = net.hidden.weights + to_source + from;
    for (Index v = 0; v < vectors; ++v) {
      const Vec<Real> known = load(row + v * lanes);
      for (Index i = 0; i < together; ++i)
        sums[i][v] += weights[nets[i] * net.hidden.distance] * known;
    }
    row += stride;
  }
  for (Index i = 0; i < together; ++i)
    for (Index v = 0; v < vectors; ++v) {
      if (nets[i] == unit) sums[i][v] += load(state.sources + m + v * lanes);
      store(net.tangents + nets[i] * kTile<Real> + v * lanes, sums[i][v]);
    }
}

template <Index vectors, class Real>
void carry_tile(StreamNet<Real>& net, const StreamState<Real>& state, Index unit, Index m) {
  const std::vector<Index>& nets = net.reach[static_cast<std::size_t>(unit)].nets;
  constexpr std::size_t together = 4;
  std::size_t i = 0;
  for (; i + together <= nets.size(); i += together)
    carry_nets<together, vectors>(net, state, unit, m, nets.data() + i);
  for (; i < nets.size(); ++i) carry_nets<1, vectors>(net, state, unit, m, nets.data() + i);
}

// Sensitivities of the states and activations of one reach, from those of their net inputs. Returns
// their squares.
template <class Real>
Vec<Real> carry_rows(StreamNet<Real>& net, StreamState<Real>& state, Index unit, Index m) {
  constexpr Index lanes = kLanes<Real>;
  const StreamShape& shape = net.shape;
  const Index stride = stream_stride<Real>(shape.sources()), b = shape.blocks;
  const Index cell = shape.first_cell(), C = shape.cells();
  const Index width = std::min(kTile<Real>, stream_width<Real>(shape.sources()) - m);
  const StreamReach& reach = net.reach[static_cast<std::size_t>(unit)];
  Real* const rows = state.sensitivities + reach.row * stride + m;
  Real* const state_rows = rows + static_cast<Index>(reach.units.size()) * stride;
  const auto by_net = [&](Index u, Index at) { return load(net.tangents + u * kTile<Real> + at); };
  std::size_t kept = 0;  // among reach.cells
  Vec<Real> squares{};
  for (const Index c : reach.states) {
    const bool has_row = kept < reach.cells.size() && reach.cells[kept] == c;
    Real* const row = state_rows + static_cast<Index>(kept) * stride;
    const Index block = c / shape.block_size;
    for (Index at = 0; at < width; at += lanes) {
      Vec<Real> ds = state.gain_in[c] * by_net(block, at) +
                     state.gain_cell[c] * by_net(cell + c, at);
      if (shape.forget_gate) ds += state.gain_forget[c] * by_net(b + block, at);
      if (has_row) {
        ds += state.kept[c] * load(row + at);
        store(row + at, ds), squares += ds * ds;
      }
      store(net.moved + c * kTile<Real> + at, ds);
    }
    kept += has_row;
  }
  for (std::size_t i = 0; i < reach.units.size(); ++i) {
    const Index u = reach.units[i], c = u - cell;
    const bool is_cell = c >= 0 && c < C;
    for (Index at = 0; at < width; at += lanes) {
      const Index gate = is_cell ? cell + C + c / shape.block_size : u;
      Vec<Real> dy = net.slopes[u] * by_net(gate, at);
      if (is_cell) dy += net.through[c] * load(net.moved + c * kTile<Real> + at);
      store(rows + static_cast<Index>(i) * stride + at, dy), squares += dy * dy;
    }
  }
  return squares;
}

// The factor that shrinks sensitivities of this sum of squares to their largest size; 0 if the sum
// has overflowed.
template <class Real>
Real shrinkage(const StreamNet<Real>& net, Real squares) {
  if (!std::isfinite(squares)) return 0;
  const auto weights = static_cast<Real>(net.shape.units() * net.shape.sources());
  const Real most = net.bound * std::sqrt(weights), size = std::sqrt(squares);
  return size <= most ? Real{1} : most / size;
}

template <class Real>
void scale(Index n, Real factor, Real* x) {
  if (factor == 1) return;
  for (Index i = 0; i < n; ++i) x[i] = factor > 0 ? factor * x[i] : Real{0};
}

// Adds the last step to the sensitivities.
template <class Real>
void carry_sensitivities(StreamNet<Real>& net, StreamState<Real>& state) {
  Vec<Real> squares{};
  step_slopes(net, state);
  const bool along_paths = !net.paths.empty();
  if (along_paths) path_factors(net, state);
  const Index width = stream_width<Real>(net.shape.sources());
  for (Index unit = 0; unit < net.shape.units(); ++unit)
    for (Index m = 0; m < width; m += kTile<Real>) {
      constexpr Index vectors = kTile<Real> / kLanes<Real>;
      const bool whole = width - m >= kTile<Real>;  // or the last cache line
      if (along_paths) {
        if (whole) squares += carry_along_paths<vectors>(net, state, unit, m);
        else squares += carry_along_paths<vectors / 2>(net, state, unit, m);
        continue;
      }
      if (whole) carry_tile<vectors>(net, state, unit, m);
      else carry_tile<vectors / 2>(net, state, unit, m);
      squares += carry_rows(net, state, unit, m);
    }
  scale(stream_rows(net) * stream_stride<Real>(net.shape.sources()),
        shrinkage(net, total(squares)), state.sensitivities);
}

// Changes hidden weights by the errors at cells, back [C].
template <class How, class Real>
void sensitivity_pass(StreamNet<Real>& net, const StreamState<Real>& state, const Real* back) {
  const StreamShape& shape = net.shape;
  const Index stride = stream_stride<Real>(shape.sources()), cell = shape.first_cell();
  const typename How::template Change<Real> change(net);
  for (Index unit = 0; unit < shape.units(); ++unit) {
    const StreamReach& reach = net.reach[static_cast<std::size_t>(unit)];
    for (Index m = 0; m < stream_width<Real>(shape.sources()); m += kLanes<Real>) {
      Vec<Real> d{};
      const Real* row = state.sensitivities + reach.row * stride + m;
      for (const Index u : reach.units) {
        if (u >= cell && u < cell + shape.cells()) d += back[u - cell] * load(row);
        row += stride;
      }
      change(net.hidden, unit * net.hidden.distance + m, d);
    }
  }
}

template <class Real>
Real norm_squared(Index n, const Real* x) {
  return sum_of<Real>(n, [&](Index u, int k) {
    const Vec<Real> part = load(x + u, k);
    return part * part;
  });
}

// The factor that makes two norms equal, from their squares; 1 if one of them is zero.
template <class Real>
Real balance(Real above, Real below) {
  return above > 0 && below > 0 ? std::sqrt(std::sqrt(above) / std::sqrt(below)) : Real{1};
}

// by_net [U]: sums of random signs times the derivatives of activations and states by net inputs.
template <class Real>
void signs_by_net(StreamNet<Real>& net, const StreamState<Real>& state, Real* by_net) {
  const StreamShape& shape = net.shape;
  const Index cell = shape.first_cell(), C = shape.cells(), U = shape.units(), b = shape.blocks;
  for (Index u = 0; u < U; ++u) by_net[u] = net.signs[u] * net.slopes[u];
  for (Index c = 0; c < C; ++c) {
    const Index block = c / shape.block_size;
    const Real of_state = net.signs[U + c] + net.signs[cell + c] * net.through[c];
    by_net[block] += state.gain_in[c] * of_state;
    if (shape.forget_gate) by_net[b + block] += state.gain_forget[c] * of_state;
    by_net[cell + C + block] += net.signs[cell + c] * net.slopes[cell + c];
    by_net[cell + c] = state.gain_cell[c] * of_state;
  }
}

// Multiplies q [U + C] by the Jacobian of the last step.
template <class Real>
void carry_q(StreamNet<Real>& net, StreamState<Real>& state) {
  const StreamShape& shape = net.shape;
  const Index cell = shape.first_cell(), C = shape.cells(), U = shape.units(), b = shape.blocks;
  Real* const sources = net.moved;  // [S]
  std::fill_n(sources, stream_width<Real>(shape.sources()), Real{0});
  std::copy_n(state.q + (shape.gates_fed_back ? 0 : cell), shape.fed_back(),
              sources + shape.inputs);
  row_products(net.hidden, U, shape.sources(), sources, net.tangents);
  for (Index c = 0; c < C; ++c) {
    const Index block = c / shape.block_size;
    Real& s = state.q[U + c];
    s = state.kept[c] * s + state.gain_in[c] * net.tangents[block] +
        state.gain_cell[c] * net.tangents[cell + c];
    if (shape.forget_gate) s += state.gain_forget[c] * net.tangents[b + block];
    state.q[cell + c] = net.through[c] * s + net.slopes[cell + c] * net.tangents[cell + C + block];
  }
  for (Index u = 0; u < U; ++u)
    if (u < cell || u >= cell + C) state.q[u] = net.slopes[u] * net.tangents[u];
}

template <class Real>
void carry_rank_one(StreamNet<Real>& net, StreamState<Real>& state) {
  const StreamShape& shape = net.shape;
  const Index U = shape.units(), n = U + shape.cells(), S = shape.sources();
  const Index stride = stream_stride<Real>(S), width = stream_width<Real>(S);
  step_slopes(net, state);
  carry_q(net, state);
  signs_by_net(net, state, net.tangents);
  Real before = 0;
  for (Index u = 0; u < U; ++u) before += norm_squared(width, state.w + u * stride);
  const Real r0 = balance(before, norm_squared(n, state.q));
  const Real at_once = norm_squared(U, net.tangents) * norm_squared(S, state.sources);
  const Real r1 = balance(at_once, static_cast<Real>(n));
  for (Index i = 0; i < n; ++i) state.q[i] = r0 * state.q[i] + r1 * net.signs[i];
  for (Index u = 0; u < U; ++u)
    for (Index m = 0; m < width; m += kLanes<Real>) {
      Real* const w = state.w + u * stride + m;
      store(w, load(w) / r0 + net.tangents[u] / r1 * load(state.sources + m));
    }
  Real squares = 0;
  for (Index u = 0; u < U; ++u) squares += norm_squared(width, state.w + u * stride);
  const Real both = std::sqrt(shrinkage(net, squares * norm_squared(n, state.q)));
  scale(n, both, state.q), scale(U * stride, both, state.w);
}

template <class How, class Real>
void rank_one_pass(StreamNet<Real>& net, const StreamState<Real>& state, const Real* back) {
  const StreamShape& shape = net.shape;
  const Index stride = stream_stride<Real>(shape.sources());
  const typename How::template Change<Real> change(net);
  Real error = 0;
  for (Index c = 0; c < shape.cells(); ++c) error += back[c] * state.q[shape.first_cell() + c];
  for (Index u = 0; u < shape.units(); ++u)
    for (Index m = 0; m < stream_width<Real>(shape.sources()); m += kLanes<Real>)
      change(net.hidden, u * net.hidden.distance + m, error * load(state.w + u * stride + m));
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
