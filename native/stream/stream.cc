// One step of a network on an endless stream, forward and learning, for one instruction set.
#include "stream/stream.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "stream/paths.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Copies of_block [blocks] to of_cell [C], once for each cell of a block.
template <class Real>
void spread(const StreamShape& shape, const Real* of_block, Real* of_cell) {
  if (shape.block_size == 1) {
    std::copy_n(of_block, shape.blocks, of_cell);
    return;
  }
  for (Index c = 0; c < shape.cells(); ++c) of_cell[c] = of_block[c / shape.block_size];
}

// Equations (7) to (9) with a forget gate, and the factors of the step's sources in the traces.
template <class Real>
void cells_forward(StreamNet<Real>& net, const StreamState<Real>& state) {
  const StreamShape& shape = net.shape;
  const Index b = shape.blocks, C = shape.cells(), cell = shape.first_cell();
  StreamState<Real>& next = net.next;
  units<Real>(cell, [&](Index u, int n) { store(next.y + u, sigmoid(load(net.net + u, n)), n); });
  units<Real>(b, [&](Index u, int n) {
    store(next.y + cell + C + u, sigmoid(load(net.net + cell + C + u, n)), n);
  });
  Real *const in = net.gates, *const forget = in + C, *const out = forget + C;
  spread(shape, next.y, in), spread(shape, next.y + cell + C, out);
  if (shape.forget_gate) spread(shape, next.y + b, forget);
  else std::fill_n(forget, C, Real{1});
  const SquasherOf<Real> g_of(shape.g), h_of(shape.h);
  units<Real>(C, [&](Index c, int n) {
    const Vec<Real> a = load(net.net + cell + c, n), y_in = load(in + c, n);
    const Vec<Real> kept = load(forget + c, n), before = load(state.s + c, n);
    const Vec<Real> g = g_of.from_logistic(a, sigmoid(a));
    const Vec<Real> s = kept * before + y_in * g;
    const Vec<Real> h = h_of.from_logistic(s, sigmoid(s));
    store(next.s + c, s, n), store(next.h + c, h, n), store(next.kept + c, kept, n);
    store(next.gain_in + c, g * slope_of_sigmoid<Real>(y_in), n);
    store(next.gain_forget + c, slope_of_sigmoid<Real>(kept) * before, n);
    store(next.gain_cell + c, y_in * g_of.slope(g), n);
    store(next.y + cell + c, load(out + c, n) * h, n);
  });
}

// The sources of outputs, net.seen, from the sources of a step and its activations.
template <class Real>
void show(StreamNet<Real>& net, const StreamState<Real>& state) {
  const StreamShape& shape = net.shape;
  Real* at = net.seen;
  if (shape.direct) at = std::copy_n(state.sources, shape.inputs, at);
  at = std::copy_n(state.y + shape.first_cell(), shape.cells(), at);
  *at = 1;
}

template <class Real>
void activate(const StreamShape& shape, Real* out) {
  const Index O = shape.outputs;
  if (shape.head == Head::linear) return;
  if (shape.head != Head::softmax) {
    units<Real>(O, [&](Index k, int n) { store(out + k, sigmoid(load(out + k, n)), n); });
    return;
  }
  const Real most = *std::max_element(out, out + O);
  units<Real>(O, [&](Index k, int n) { store(out + k, exp_of_minus(most - load(out + k, n)), n); });
  Real sum = 0;
  for (Index k = 0; k < O; ++k) sum += out[k];
  for (Index k = 0; k < O; ++k) out[k] /= sum;
}

template <class Real>
bool all_finite(Index n, const Real* x) {
  for (Index i = 0; i < n; ++i)
    if (!std::isfinite(x[i])) return false;
  return true;
}

template <class Real>
bool look(StreamNet<Real>& net, const StreamState<Real>& state) {
  const StreamShape& shape = net.shape;
  StreamState<Real>& next = net.next;
  const Index fed = shape.fed_back();
  std::copy_n(net.x, shape.inputs, next.sources);
  std::copy_n(state.y + (shape.gates_fed_back ? 0 : shape.first_cell()), fed,
              next.sources + shape.inputs);
  next.sources[shape.inputs + fed] = 1;
  row_products(net.hidden, shape.units(), shape.sources(), next.sources, net.net);
  cells_forward(net, state);
  show(net, next);
  row_products(net.output, shape.outputs, shape.seen(), net.seen, next.out);
  activate(shape, next.out);
  return all_finite(shape.outputs, next.out);
}

template <class Real>
void move(StreamNet<Real>& net, StreamState<Real>& state, bool standing) {
  const StreamShape& shape = net.shape;
  const Index C = shape.cells();
  if (standing && net.rule == Rule::truncated) hidden_pass<Nothing>(net, state);
  const StreamState<Real>& next = net.next;
  std::copy_n(next.y, shape.units(), state.y), std::copy_n(next.s, C, state.s);
  std::copy_n(next.h, C, state.h), std::copy_n(next.sources, shape.sources(), state.sources);
  std::copy_n(next.out, shape.outputs, state.out), std::copy_n(next.kept, C, state.kept);
  std::copy_n(next.gain_in, C, state.gain_in), std::copy_n(next.gain_cell, C, state.gain_cell);
  std::copy_n(next.gain_forget, C, state.gain_forget);
  if (net.rule == Rule::uoro) carry_rank_one(net, state);
  else if (net.rule == Rule::rtrl) carry_sensitivities(net, state);
}

// Errors of outputs, states and output gates: equations (19), (21), (23). wanted [O].
template <class Real>
bool errors(StreamNet<Real>& net, const StreamState<Real>& state, const Real* wanted, Real weight) {
  const StreamShape& shape = net.shape;
  const Index O = shape.outputs, C = shape.cells();
  for (Index k = 0; k < O; ++k) {
    const Real y = state.out[k], d = std::isnan(wanted[k]) ? Real{0} : wanted[k] - y;
    const Real e = weight * std::clamp(d, -net.clip, net.clip);
    net.errors[k] = shape.head == Head::logistic97 ? e * y * (1 - y) : e;
  }
  if (!all_finite(O, net.errors)) return false;
  for (Index m = 0; m < stream_width<Real>(shape.seen()); m += kLanes<Real>) {
    Vec<Real> sum{};
    for (Index k = 0; k < O; ++k)
      sum += net.errors[k] * load(net.output.weights + k * net.output.distance + m);
    store(net.back + m, sum);
  }
  const Real *const back = net.back + shape.inputs * shape.direct, *const h = state.h;
  const Real* const y_out = state.y + shape.first_cell() + C;
  const SquasherOf<Real> h_of(shape.h);
  spread(shape, y_out, net.gates);
  units<Real>(C, [&](Index c, int n) {
    store(net.e_s + c, load(net.gates + c, n) * h_of.slope(load(h + c, n)) * load(back + c, n), n);
  });
  for (Index j = 0; j < shape.blocks; ++j) {
    Real sum = 0;
    for (Index c = j * shape.block_size; c < (j + 1) * shape.block_size; ++c) sum += h[c] * back[c];
    net.e_out[j] = y_out[j] * (1 - y_out[j]) * sum;
  }
  return all_finite(C, net.e_s) && all_finite(shape.blocks, net.e_out);
}

template <class Real>
void refresh(StreamNet<Real>& net, StreamState<Real>& state) {
  show(net, state);
  row_products(net.output, net.shape.outputs, net.shape.seen(), net.seen, state.out);
  activate(net.shape, state.out);
}

template <class Real>
bool learn(StreamNet<Real>& net, StreamState<Real>& state, const Real* wanted, Real weight) {
  if (!errors(net, state, wanted, weight)) return false;
  show(net, state);
  ++net.changes;
  const auto passes = [&](auto how) {
    using How = decltype(how);
    const Real* const back = net.back + net.shape.inputs * net.shape.direct;
    output_pass<How>(net);
    if (net.rule == Rule::truncated) hidden_pass<How>(net, state);
    else if (net.rule == kImmediate) immediate_pass<How>(net, state);
    else if (net.rule == Rule::uoro) rank_one_pass<How>(net, state, back);
    else sensitivity_pass<How>(net, state, back);
  };
  switch (net.shape.optimizer) {
    case Optimizer::sgd: passes(By<Optimizer::sgd>{}); break;
    case Optimizer::rmsprop: passes(By<Optimizer::rmsprop>{}); break;
    case Optimizer::adam: passes(By<Optimizer::adam>{}); break;
  }
  return true;
}

template <class Real>
constexpr StreamKernel<Real> kernel_of() {
  return {look<Real>, move<Real>, refresh<Real>, learn<Real>};
}

}  // namespace

void distances(const Distances& d);  // distances.cc
void product(const Product& of);     // product.cc

#define CARROUSEL_STRINGIFY_(x) #x
#define CARROUSEL_STRINGIFY(x) CARROUSEL_STRINGIFY_(x)

extern const StreamKernels stream_kernels;
const StreamKernels stream_kernels = {CARROUSEL_STRINGIFY(CARROUSEL_ISA), kernel_of<float>(),
                                      kernel_of<double>(), distances, product};

}  // namespace carrousel::CARROUSEL_ISA
