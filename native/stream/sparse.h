// Sensitivities along some recurrent connections (sparse real-time recurrent learning). All units of
// a block receive from the same few units, so that a sensitivity is a sum over a few rows. Its
// factors are those of a step, not of a weight. See recurrent_paths() in
// kernels/reference/paths.py.
#pragma once

#include "stream/pass.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// The block of a unit.
inline Index block_of(const StreamShape& shape, Index unit) {
  const Index cell = shape.first_cell(), after = cell + shape.cells();
  return unit < cell    ? unit % shape.blocks
         : unit < after ? (unit - cell) / shape.block_size
                        : unit - after;
}

// net.path_factors: of cell states [C, paths], then of activations [U, paths]; of cells without the
// part that passes through their states.
template <class Real>
void path_factors(StreamNet<Real>& net, const StreamState<Real>& state) {
  const StreamShape& shape = net.shape;
  const Index b = shape.blocks, C = shape.cells(), cell = shape.first_cell();
  const auto weight = [&](Index to, Index from) {
    return net.hidden.weights[to * net.hidden.distance + shape.inputs + from];
  };
  Real* at = net.path_factors;
  for (Index c = 0; c < C; ++c) {
    const Index block = c / shape.block_size, *const from = &net.paths[block * net.n_paths];
    for (Index i = 0; i < net.n_paths; ++i, ++at) {
      *at = state.gain_in[c] * weight(block, from[i]) +
            state.gain_cell[c] * weight(cell + c, from[i]);
      if (shape.forget_gate) *at += state.gain_forget[c] * weight(b + block, from[i]);
    }
  }
  for (Index u = 0; u < shape.units(); ++u) {
    const Index block = block_of(shape, u), *const from = &net.paths[block * net.n_paths];
    const Index gate = u >= cell && u < cell + C ? cell + C + block : u;
    for (Index i = 0; i < net.n_paths; ++i, ++at) *at = net.slopes[u] * weight(gate, from[i]);
  }
}

// Adds to sums [vectors] the rows of the units in `from`, each times its factor.
template <Index vectors, class Real>
inline void add_paths(const StreamNet<Real>& net, const Real* rows, Index stride, const Index* from,
                      const Real* factors, Vec<Real>* sums) {
  for (Index i = 0; i < net.n_paths; ++i)
    for (Index v = 0; v < vectors; ++v)
      sums[v] += factors[i] * load(rows + from[i] * stride + v * kLanes<Real>);
}

// Sensitivities of all states and activations by the weights into `unit`, for some vectors of sources
// from m on. Returns their squares.
template <Index vectors, class Real>
Vec<Real> carry_along_paths(StreamNet<Real>& net, StreamState<Real>& state, Index unit, Index m) {
  constexpr Index lanes = kLanes<Real>;
  const StreamShape& shape = net.shape;
  const Index C = shape.cells(), cell = shape.first_cell(), own = block_of(shape, unit);
  const Index stride = stream_stride<Real>(shape.sources()), fed = shape.fed_back();
  const Index first_fed = shape.gates_fed_back ? 0 : cell, k = net.n_paths;
  Real* const rows = state.sensitivities +
                     net.reach[static_cast<std::size_t>(unit)].row * stride + m;
  const Real* const of_unit = net.path_factors + C * k;
  const bool is_cell = unit >= cell && unit < cell + C, is_out = unit >= cell + C;
  const Real* const gain = is_cell ? state.gain_cell
                           : unit < shape.blocks ? state.gain_in
                                                 : state.gain_forget;
  Vec<Real> source[vectors], squares{};
  for (Index v = 0; v < vectors; ++v) source[v] = load(state.sources + m + v * lanes);
  for (Index c = 0; c < C; ++c) {
    const Index block = c / shape.block_size, *const from = &net.paths[block * k];
    const bool acts = block == own && (!is_cell || unit == cell + c);
    const Real at_state = acts && !is_out ? gain[c] : Real{0}, kept = state.kept[c];
    const Real at_gate = acts && is_out ? net.slopes[cell + c] : Real{0}, through = net.through[c];
    Real* const state_row = rows + (fed + c) * stride;
    Vec<Real> ds[vectors], dy[vectors];
    for (Index v = 0; v < vectors; ++v)
      ds[v] = kept * load(state_row + v * lanes) + at_state * source[v], dy[v] = at_gate * source[v];
    add_paths<vectors>(net, rows, stride, from, net.path_factors + c * k, ds);
    add_paths<vectors>(net, rows, stride, from, of_unit + (cell + c) * k, dy);
    for (Index v = 0; v < vectors; ++v) {
      store(state_row + v * lanes, ds[v]), squares += ds[v] * ds[v];
      store(net.tangents + (cell + c) * kTile<Real> + v * lanes, dy[v] + through * ds[v]);
    }
  }
  for (Index u = first_fed; u < first_fed + fed; ++u) {
    if (u >= cell && u < cell + C) continue;
    Vec<Real> dy[vectors];
    for (Index v = 0; v < vectors; ++v)
      dy[v] = (u == unit ? net.slopes[u] : Real{0}) * source[v];
    add_paths<vectors>(net, rows, stride, &net.paths[block_of(shape, u) * k], of_unit + u * k, dy);
    for (Index v = 0; v < vectors; ++v) store(net.tangents + u * kTile<Real> + v * lanes, dy[v]);
  }
  for (Index i = 0; i < fed; ++i)  // now that no row is read any more
    for (Index v = 0; v < vectors; ++v) {
      const Vec<Real> dy = load(net.tangents + (first_fed + i) * kTile<Real> + v * lanes);
      store(rows + i * stride + v * lanes, dy), squares += dy * dy;
    }
  return squares;
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
