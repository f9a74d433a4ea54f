// One step of a stack of layers, for one instruction set, in float and double.
#include "step/step.h"

#include "sequence/forward.h"

namespace carrousel::CARROUSEL_ISA {
namespace {

// Hands out parts of a block of memory, each on a cache line. Without memory it only counts.
template <class Real>
struct Places {
  Real* memory;
  std::size_t size = 0;

  Real* take(Index n) {
    Real* const here = memory ? memory + size : nullptr;
    size += static_cast<std::size_t>(padded(n));
    return here;
  }
  // Takes memory for a copy of a weight, if there is one, and points `part` to it.
  void copy(const Real*& part, Index n) {
    if (!part) return;
    Real* const here = take(n);
    if (here) part = here;
  }
};

// The packed w_ih.
template <class Real>
Packed<Real> inputs_of(const StepLayer<Real>& my) {
  return {my.packed, my.inputs, my.sequence.recurrence.net_inputs, my.sequence.storage};
}

template <class Real>
void lay_out_layer(StepNet<Real>& net, StepLayer<Real>& my, Places<Real>& at) {
  Sequence<Real>& q = my.sequence;
  const Recurrence& R = q.recurrence;
  const Index B = net.batch, U = R.net_inputs, C = R.units, H = R.sources;
  auto& w = q.weights;
  const bool described = R.kind == CellKind::described;
  my.packed = at.take(static_cast<Index>(inputs_of(my).size()));
  q.packed = nullptr;
  q.packed = at.take(static_cast<Index>(PackedParts<Real>(q).size));
  at.copy(w.unit, R.unit_parameters * C), at.copy(w.ln_hh, U), at.copy(w.ln_c, 2 * C);
  at.copy(my.ln_ih, U), at.copy(w.fresh_h, H), at.copy(w.fresh_s, R.state_width());
  const Index stride = Packed<Real>{nullptr, 0, U}.stride();
  my.start = described ? at.take(stride) : nullptr;
  if (!described) at.copy(w.bias, U);
  my.x = at.take(B * stride), my.r = at.take(B * stride);
  my.m = at.take(B * R.cell_output());
  my.projected = R.projection ? at.take(B * Packed<Real>{nullptr, 0, H}.stride()) : nullptr;
  my.s_new = at.take(R.state_width()), my.row = at.take(4 * C), my.gates = at.take(R.gates_width());
  const Index deep = std::max({my.inputs, H, C});
  my.narrow = q.storage == Storage::int8 ? at.take(narrow_size(B, deep)) : nullptr;
}

template <class Real>
std::size_t lay_out(StepNet<Real>& net, Real* memory) {
  Places<Real> at{memory};
  const Recurrence& R = net.layers.front().sequence.recurrence;
  const Index n = static_cast<Index>(net.layers.size()), B = net.batch;
  const Index h = B * R.sources, s = B * R.state_width();
  net.in = at.take(B * net.layers.front().inputs);
  net.out = at.take(B * (R.projection ? R.sources : R.units));
  net.h = at.take(n * h), net.s = at.take(n * s);
  for (Index i = 0; i < n; ++i) {
    StepLayer<Real>& layer = net.layers[static_cast<std::size_t>(i)];
    lay_out_layer(net, layer, at);
    if (memory) layer.sequence.h = net.h + i * h, layer.sequence.s = net.s + i * s;
  }
  return at.size;
}

template <class Real>
void load_layer(StepLayer<Real>& my, const StepLayer<Real>& from) {
  Sequence<Real> source = from.sequence;  // packing reads the given weights
  const Recurrence& R = source.recurrence;
  const Index U = R.net_inputs, C = R.units;
  const auto copy = [](const Real* part, Index n, const Real* to) {
    if (part) std::copy_n(part, n, const_cast<Real*>(to));
  };
  const auto &w = source.weights, &own = my.sequence.weights;
  copy(w.unit, R.unit_parameters * C, own.unit), copy(w.ln_hh, U, own.ln_hh);
  copy(w.ln_c, 2 * C, own.ln_c), copy(from.ln_ih, U, my.ln_ih);
  copy(w.fresh_h, R.sources, own.fresh_h), copy(w.fresh_s, R.state_width(), own.fresh_s);
  if (my.start) {
    std::fill_n(my.start, Packed<Real>{nullptr, 0, U}.stride(), Real{0});
    copy(w.bias, U, my.start);
    source.weights.bias = nullptr;
  } else {
    copy(w.bias, U, own.bias);
  }
  source.packed = my.sequence.packed, source.all_threads = 1;
  pack_parts(source);
  pack_on(1, inputs_of(my), from.w_ih, from.s_ih, true);
}

template <class Real>
void load(StepNet<Real>& net, const std::vector<StepLayer<Real>>& from) {
  for (std::size_t i = 0; i < net.layers.size(); ++i) load_layer(net.layers[i], from[i]);
  net.prepared = false;
}

template <class Real>
void prepare_layer(const StepNet<Real>& net, const StepLayer<Real>& my) {
  const Sequence<Real>& q = my.sequence;
  const Recurrence& R = q.recurrence;
  const PackedParts<Real> parts(q);
  const Index stride = parts.recurrent.stride();
  if (!R.recurrent) return;
  product<Real>(net.batch, parts.recurrent,
                factors_of(net.batch, parts.recurrent, q.h, R.sources, my.narrow),
                R.layer_norm ? nullptr : parts.start, my.r);
  for (Index b = 0; R.layer_norm && b < net.batch; ++b)
    normalise<Real>(R.net_inputs, q.weights.ln_hh, parts.start, my.r + b * stride, nullptr,
                    nullptr);
}

// Runs one step of a layer. Rows of x [B, I] are `wide` numbers apart.
template <class Real>
void run_layer(const StepNet<Real>& net, const StepLayer<Real>& my, const Real* x, Index wide) {
  const Sequence<Real>& q = my.sequence;
  const Recurrence& R = q.recurrence;
  const Index B = net.batch, U = R.net_inputs, H = R.sources, DC = R.state_width();
  const Index out = R.cell_output();
  const PackedParts<Real> parts(q);
  const Index stride = parts.recurrent.stride();
  const Packed<Real> inputs = inputs_of(my);
  product<Real>(B, inputs, factors_of(B, inputs, x, wide, my.narrow),
                R.layer_norm ? nullptr : my.start, my.x);
  for (Index b = 0; b < B; ++b) {
    Real *const x_row = my.x + b * stride, *const s = q.s + b * DC;
    if (R.layer_norm) normalise<Real>(U, my.ln_ih, my.start, x_row, nullptr, nullptr);
    const StepForward<Real> step{x_row, my.r + b * stride, s, q.h + b * H, my.s_new, my.m + b * out,
                                 my.gates, nullptr, nullptr, 0, R.units};
    row_forward(q, step, my.row);
    Forward<Real>::hand_on(DC, my.s_new, nullptr, net.zone_s, s);
  }
  const Real* h_new = my.m;
  Index h_stride = out;
  if (R.projection) {
    product<Real>(B, parts.projection, factors_of(B, parts.projection, my.m, out, my.narrow),
                  nullptr, my.projected);
    h_new = my.projected, h_stride = parts.projection.stride();
  }
  for (Index b = 0; b < B; ++b)
    Forward<Real>::hand_on(H, h_new + b * h_stride, nullptr, net.zone_h, q.h + b * H);
}

template <class Real>
void prepare(StepNet<Real>& net) {
  if (net.prepared) return;
  for (const auto& layer : net.layers) prepare_layer(net, layer);
  net.prepared = true;
}

template <class Real>
void run(StepNet<Real>& net) {
  prepare(net);
  const Real* x = net.in;
  Index wide = net.layers.front().inputs;
  for (const auto& layer : net.layers) {
    run_layer(net, layer, x, wide);
    x = layer.sequence.h, wide = layer.sequence.recurrence.sources;
  }
  const Recurrence& R = net.layers.back().sequence.recurrence;
  const Index shown = R.projection ? R.sources : R.units;  // O
  for (Index b = 0; b < net.batch; ++b) std::copy_n(x + b * wide, shown, net.out + b * shown);
  net.prepared = false;
}

template <class Real>
constexpr StepKernel<Real> kernel_of() {
  return {lay_out<Real>, load<Real>, prepare<Real>, run<Real>};
}

}  // namespace

#define CARROUSEL_STRINGIFY_(x) #x
#define CARROUSEL_STRINGIFY(x) CARROUSEL_STRINGIFY_(x)

extern const StepKernels step_kernels;
const StepKernels step_kernels = {CARROUSEL_STRINGIFY(CARROUSEL_ISA), kernel_of<float>(),
                                  kernel_of<double>()};

}  // namespace carrousel::CARROUSEL_ISA
