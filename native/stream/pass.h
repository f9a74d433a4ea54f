// Passes over the weights and traces of a stream's network: net inputs, and the update of traces
// and weights together.
#pragma once

#include "stream/change.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// to [n] = the sums of n vectors. The compiler interleaves them: each has a long latency.
template <class Real>
inline void totals(const Vec<Real>* sums, Index n, Real* to) {
  for (Index i = 0; i < n; ++i) to[i] = total(sums[i]);
}

// to [rows] = weights [rows, n] x [n].
template <class Real>
void row_products(const StreamRows<Real>& of, Index rows, Index n, const Real* x, Real* to) {
  const Real* const weights = of.weights;
  const Index stride = of.distance, width = stream_width<Real>(n);
  constexpr Index lanes = kLanes<Real>, together = 8;
  Index r = 0;
  for (; r + together <= rows; r += together) {
    const Real* const w = weights + r * stride;
    Vec<Real> sums[together] = {};
    for (Index m = 0; m < width; m += lanes) {
      const Vec<Real> source = load(x + m);
      for (Index i = 0; i < together; ++i) sums[i] += load(w + i * stride + m) * source;
    }
    totals<Real>(sums, together, to + r);
  }
  for (; r < rows; ++r) {
    Vec<Real> sum{};
    for (Index m = 0; m < width; m += lanes)
      sum += load(weights + r * stride + m) * load(x + m);
    to[r] = total(sum);
  }
}

// Adds the last step to the traces of one block's cells, and changes the weights of the block by
// their gradients: equations (25) to (28), and (21), (22) for the output gate. For the traces of
// forget gates see Gers, Schmidhuber & Cummins 2000. `How` is the optimiser.
template <class How, bool forgets, class Real>
void block_pass(const typename How::template Change<Real>& change, StreamNet<Real>& net,
                StreamState<Real>& state, Index block) {
  constexpr Index lanes = kLanes<Real>;
  constexpr bool learns = !std::is_same_v<How, Nothing>;
  const StreamShape& shape = net.shape;
  const Index stride = stream_stride<Real>(shape.sources()), C = shape.cells();
  const Index width = stream_width<Real>(shape.sources());
  const Index size = shape.block_size, first = block * size;
  Real* const of_cell = state.traces + first * stride;
  Real* const of_in = of_cell + C * stride;
  Real* const of_forget = of_in + C * stride;
  const Index apart = net.hidden.distance;
  const Index row_in = block * apart, row_forget = (shape.blocks + block) * apart;
  const Index row_cell = (shape.first_cell() + first) * apart;
  const Index row_out = (shape.first_cell() + C + block) * apart;
  for (Index m = 0; m < width; m += lanes) {
    const Vec<Real> source = load(state.sources + m);
    Vec<Real> d_in{}, d_forget{};
    for (Index i = 0; i < size; ++i) {
      const Index c = first + i, at = i * stride + m;
      const Real kept = state.kept[c], e = learns ? net.e_s[c] : Real{0};
      const auto trace = [&](Real* all_of, Real gain) {
        const Vec<Real> now = kept * load(all_of + at) + gain * source;
        store(all_of + at, now);
        return now;
      };
      const Vec<Real> cell = trace(of_cell, state.gain_cell[c]);
      const Vec<Real> in = trace(of_in, state.gain_in[c]);
      if constexpr (learns) change(net.hidden, row_cell + i * apart + m, e * cell), d_in += e * in;
      if constexpr (forgets) {
        const Vec<Real> forget = trace(of_forget, state.gain_forget[c]);
        if constexpr (learns) d_forget += e * forget;
      }
    }
    if constexpr (learns) {
      change(net.hidden, row_in + m, d_in);
      if constexpr (forgets) change(net.hidden, row_forget + m, d_forget);
      change(net.hidden, row_out + m, net.e_out[block] * source);
    }
  }
}

template <class How, class Real>
void hidden_pass(StreamNet<Real>& net, StreamState<Real>& state) {
  const typename How::template Change<Real> change(net);
  for (Index block = 0; block < net.shape.blocks; ++block)
    if (net.shape.forget_gate) block_pass<How, true>(change, net, state, block);
    else block_pass<How, false>(change, net, state, block);
}

// Changes hidden weights by the derivative through the last step alone.
template <class How, class Real>
void immediate_pass(StreamNet<Real>& net, const StreamState<Real>& state) {
  const StreamShape& shape = net.shape;
  const Index b = shape.blocks, C = shape.cells(), cell = shape.first_cell();
  Real* const by_net = net.net;  // [U] errors of net inputs
  std::fill_n(by_net, shape.units(), Real{0});
  for (Index c = 0; c < C; ++c) {
    const Index block = c / shape.block_size;
    by_net[block] += net.e_s[c] * state.gain_in[c];
    if (shape.forget_gate) by_net[b + block] += net.e_s[c] * state.gain_forget[c];
    by_net[cell + c] = net.e_s[c] * state.gain_cell[c];
  }
  std::copy_n(net.e_out, b, by_net + cell + C);
  const typename How::template Change<Real> change(net);
  for (Index u = 0; u < shape.units(); ++u)
    for (Index m = 0; m < stream_width<Real>(shape.sources()); m += kLanes<Real>)
      change(net.hidden, u * net.hidden.distance + m, by_net[u] * load(state.sources + m));
}

// Changes the weights into outputs by errors and sources of outputs, equation (22).
template <class How, class Real>
void output_pass(StreamNet<Real>& net) {
  const Index width = stream_width<Real>(net.shape.seen());
  const typename How::template Change<Real> change(net);
  for (Index k = 0; k < net.shape.outputs; ++k)
    for (Index m = 0; m < width; m += kLanes<Real>)
      change(net.output, k * net.output.distance + m, net.errors[k] * load(net.seen + m));
}

}  // namespace
}  // namespace carrousel::CARROUSEL_ISA
