// Python functions of the sequence kernels. Arrays are checked before a pointer is used.
#include "bind/sequence.h"

#include <nanobind/stl/string.h>

#include <algorithm>

#include "bind/arrays.h"
#include "sequence/run.h"

namespace nb = nanobind;
using namespace carrousel;

namespace {

// One direction of one layer: its arrays from Python, and the memory it needs to run.
template <class Real>
class Layer {
 public:
  Layer(nb::dict description, nb::dict d, bool learn, Arrays& arrays)
      : kernel(kernel_named<Real>(sequence_kernels(), setting<std::string>(d, "instruction_set"))) {
    q.recurrence = recurrence_of(description);
    q.batch = number(d, "batch", Index{1} << 31), q.inputs = number(d, "inputs", Index{1} << 31);
    q.all_threads = static_cast<int>(number(d, "threads", 1024));
    q.cut = setting<int>(d, "cut"), q.sources = setting<bool>(d, "sources"), q.learn = learn;
    if (q.all_threads < 1) refuse("threads is 0, expected 1..1024");
    if (q.cut < -1)
      refuse("cut is ", q.cut, ", expected at least -1");
    take_weights(d, arrays);
  }

  // Packs the weights. h [B, H] and s [B, D C] will hold the state. `plain`: without zoneout.
  void open(Real* h, Real* s, bool plain) {
    q.h = h, q.s = s, q.packed = nullptr, q.scratch = nullptr;
    q.split = plain && kernel.splits(q);
    q.threads = q.split
                    ? q.all_threads
                    : static_cast<int>(std::min<Index>(q.all_threads, std::max<Index>(q.batch, 1)));
    packed_ = Buffer<Real>(static_cast<Index>(kernel.packed_size(q)));
    q.packed = packed_.data();
    scratch_ = Buffer<Real>(static_cast<Index>(kernel.scratch_size(q)) * q.threads);
    q.scratch = scratch_.data();
    if (q.learn) share();
    kernel.pack(q);
  }

  static Index number(nb::dict d, const char* name, Index most) {
    return check_number(name, setting<Index>(d, name), most);
  }

  const SequenceKernel<Real>& kernel;
  Sequence<Real> q{};

 private:
  void take_weights(nb::dict d, Arrays& arrays) {
    const Recurrence& R = q.recurrence;
    const Index C = R.units, U = R.net_inputs, H = R.sources;
    const auto part = [&](const char* name, std::initializer_list<Index> shape) {
      return arrays.given<const Real>(d[name], name, shape, false);
    };
    auto& w = q.weights;
    q.storage = storage_named(setting<std::string>(d, "storage"));
    if (q.storage != Storage::real && (q.learn || !std::is_same_v<Real, float>))
      refuse("storage is given, expected '' ",
             q.learn ? "in the backward pass" : "for float64");
    const auto stored = [&](const char* name, const char* scale, Index rows, Index width,
                            const float** scales) {
      return matrix<Real>(arrays, q.storage, d[name], name, d[scale], scale, rows, width, scales);
    };
    w.w_ih = stored("w_ih", "s_ih", U, q.inputs, &w.s_ih);
    w.w_hh = stored("w_hh", "s_hh", U, H, &w.s_hh), w.bias = part("bias", {U});
    w.unit = part("unit", {R.unit_parameters, C});
    w.w_hr = stored("w_hr", "s_hr", H, C, &w.s_hr);
    w.ln_ih = part("ln_ih", {U}), w.ln_hh = part("ln_hh", {U}), w.ln_c = part("ln_c", {2, C});
    w.fresh_h = part("fresh_h", {H}), w.fresh_s = part("fresh_s", {R.state_width()});
    w.drop = part("drop", {q.batch, H});
    check_parts(R, {.w_hh = w.w_hh != nullptr,
                    .w_ih = w.w_ih != nullptr,
                    .bias = w.bias != nullptr,
                    .unit = w.unit != nullptr,
                    .w_hr = w.w_hr != nullptr,
                    .ln_ih = w.ln_ih != nullptr,
                    .ln_hh = w.ln_hh != nullptr,
                    .ln_c = w.ln_c != nullptr});
    if (R.kind == CellKind::described && R.layer_norm && w.w_ih)
      refuse("w_ih must be None for a described cell with layer_norm; give net inputs as x");
    if (w.drop && !q.sources)
      refuse("drop is given, but sources is false; set sources");
  }

  void share() {
    const Recurrence& R = q.recurrence;
    const Index sizes[] = {
        q.weights.unit || R.kind == CellKind::described ? R.unit_parameters * R.units : 0,
        q.weights.ln_ih ? R.net_inputs : 0,
        R.layer_norm ? R.net_inputs : 0,
        q.weights.ln_c ? 2 * R.units : 0,
        R.sources,
        R.state_width()};
    Index total = 0;
    for (const Index n : sizes) total += (n + 15) / 16 * 16;
    gathered_ = Buffer<Real>(total * q.threads);
    Real* at = gathered_.data();
    std::fill_n(at, total * q.threads, Real{0});
    for (int i = 0; i < q.threads; ++i) {
      Shared<Real> slice{};
      Real** const parts[] = {&slice.unit, &slice.ln_ih,   &slice.ln_hh,
                              &slice.ln_c, &slice.fresh_h, &slice.fresh_s};
      for (int k = 0; k < 6; ++k)
        *parts[k] = sizes[k] ? at : nullptr, at += (sizes[k] + 15) / 16 * 16;
      q.shared.push_back(slice);
    }
  }

  Buffer<Real> packed_, scratch_, gathered_;
};

// Arrays of both passes. Backward only reads them, including the tape.
template <class Real>
Run<Real> take_run(nb::dict d, const Layer<Real>& layer, bool learn, Arrays& arrays) {
  const Sequence<Real>& q = layer.q;
  const Recurrence& R = q.recurrence;
  const Index B = q.batch, H = R.sources, DC = R.state_width();
  Run<Real> run{};
  run.steps = Layer<Real>::number(d, "steps", Index{1} << 40);
  run.recompute = Layer<Real>::number(d, "recompute", Index{1} << 40);
  run.window = Layer<Real>::number(d, "window", Index{1} << 40);
  run.samples = Layer<Real>::number(d, "samples", Index{1} << 31);
  run.reverse = setting<bool>(d, "reverse");
  run.zone_h = setting<double>(d, "zone_h"), run.zone_s = setting<double>(d, "zone_s");
  if (!(run.zone_h >= 0 && run.zone_h <= 1 && run.zone_s >= 0 && run.zone_s <= 1))
    refuse("zone_h is ", run.zone_h, " and zone_s ", run.zone_s, ", expected 0..1");
  if (run.samples && B % run.samples)
    refuse("samples is ", run.samples, ", expected a divisor of the batch, ", B);
  const Index T = run.steps, kept = learn && run.recompute ? 0 : T;
  const Index segments = run.recompute ? (T + run.recompute - 1) / run.recompute : 0;
  const auto bits = [&](const char* name, std::initializer_list<Index> shape) {
    return arrays.given<const std::uint8_t>(d[name], name, shape, false);
  };
  const auto tape = [&](const char* name, std::initializer_list<Index> shape) {
    return arrays.given<Real>(d[name], name, shape, !learn);
  };
  run.flags = bits("flags", {T, B}), run.keep_h = bits("keep_h", {T, B, H});
  run.keep_s = bits("keep_s", {T, B, DC});
  if (run.flags && !q.sources)
    refuse("flags are given, but sources is false; set sources");
  run.x =
      arrays.take<const Real>(d["x"], "x", {T, B, q.weights.w_ih ? q.inputs : R.net_inputs}, false);
  run.h0 = arrays.take<const Real>(d["h0"], "h0", {B, H}, false);
  run.s0 = arrays.take<const Real>(d["s0"], "s0", {B, DC}, false);
  run.out = arrays.take<Real>(d["out"], "out", {T, B, H}, !learn);
  run.states = tape("states", {kept, B, DC}), run.gates = tape("gates", {kept, B, R.gates_width()});
  run.extra = tape("extra", {kept, B, q.extra().width});
  run.marks = tape("marks", {segments, B, H + DC});
  return run;
}

template <class Real>
bool is_plain(const Run<Real>& run) {
  return !run.keep_h && !run.keep_s && run.zone_h == 0 && run.zone_s == 0;
}

template <class Real>
void forward(nb::dict description, nb::dict d) {
  Arrays arrays;
  Layer<Real> layer(description, d, false, arrays);
  Run<Real> run = take_run(d, layer, false, arrays);
  const Index B = layer.q.batch;
  Real* const h = arrays.take<Real>(d["h"], "h", {B, layer.q.recurrence.sources}, true);
  Real* const s = arrays.take<Real>(d["s"], "s", {B, layer.q.recurrence.state_width()}, true);
  arrays.check();
  const nb::gil_scoped_release unlocked;
  layer.open(h, s, is_plain(run));
  if (B) run_forward(layer.kernel, layer.q, run);
}

// Arrays for the gradients of parameters that all steps share; each may be null.
template <class Real>
struct Destination {
  Real *unit, *ln_ih, *ln_hh, *ln_c, *fresh_h, *fresh_s;

  Destination(nb::dict d, const Recurrence& R, Arrays& arrays) {
    const auto to = [&](const char* name, std::initializer_list<Index> shape) {
      return arrays.given<Real>(d[name], name, shape, true);
    };
    unit = to("d_unit", {R.unit_parameters, R.units}), ln_ih = to("d_ln_ih", {R.net_inputs}),
    ln_hh = to("d_ln_hh", {R.net_inputs});
    ln_c = to("d_ln_c", {2, R.units}), fresh_h = to("d_fresh_h", {R.sources});
    fresh_s = to("d_fresh_s", {R.state_width()});
  }

  // Adds the sums of all threads.
  void gather(const Sequence<Real>& q) const {
    const Recurrence& R = q.recurrence;
    const auto add = [&](Real* to, Real* Shared<Real>::*part, Index n) {
      for (const auto& slice : q.shared)
        for (Index i = 0; to && slice.*part && i < n; ++i) to[i] += (slice.*part)[i];
    };
    add(unit, &Shared<Real>::unit, R.unit_parameters * R.units);
    add(ln_ih, &Shared<Real>::ln_ih, R.net_inputs), add(ln_hh, &Shared<Real>::ln_hh, R.net_inputs),
        add(ln_c, &Shared<Real>::ln_c, 2 * R.units);
    add(fresh_h, &Shared<Real>::fresh_h, R.sources),
        add(fresh_s, &Shared<Real>::fresh_s, R.state_width());
  }
};

template <class Real>
void backward(nb::dict description, nb::dict d) {
  Arrays arrays;
  Layer<Real> layer(description, d, true, arrays);
  Run<Real> run = take_run(d, layer, true, arrays);
  const Recurrence& R = layer.q.recurrence;
  const Index B = layer.q.batch, T = run.steps, H = R.sources, U = R.net_inputs,
              DC = R.state_width();
  const Index I = layer.q.weights.w_ih ? layer.q.inputs : U, n = run.samples ? run.samples : 1;
  run.d_out = arrays.given<const Real>(d["d_out"], "d_out", {T, B, H}, false);
  run.d_states = arrays.given<const Real>(d["d_states"], "d_states", {T, B, DC}, false);
  const auto to = [&](const char* name, std::initializer_list<Index> shape) {
    return arrays.given<Real>(d[name], name, shape, true);
  };
  run.d_x = to("d_x", {T, B, I}), run.d_w_ih = to("d_w_ih", {n, U, I});
  run.d_w_hh = to("d_w_hh", {n, U, H}), run.d_bias = to("d_bias", {n, U});
  run.d_w_hr = to("d_w_hr", {n, H, R.units});
  Real* const dh = arrays.take<Real>(d["dh"], "dh", {B, H}, true);
  Real* const ds = arrays.take<Real>(d["ds"], "ds", {B, DC}, true);
  const Destination<Real> shared(d, R, arrays);
  arrays.check();
  for (const char* name : {"states", "gates", "extra"})
    if (!run.recompute && d[name].is_none())
      refuse_array(name, "is missing; the backward pass needs it");
  if (run.recompute && d["marks"].is_none())
    refuse_array("marks", "is missing; recompute needs it");
  Arrays unused;
  Layer<Real> again(description, d, false, unused);
  const nb::gil_scoped_release unlocked;
  layer.open(dh, ds, is_plain(run));
  const Buffer<Real> state(run.recompute ? B * (H + DC) : 0);
  if (run.recompute) again.open(state.data(), state.data() + B * H, is_plain(run));
  if (B) run_backward(layer.kernel, layer.q, run.recompute ? &again.q : nullptr, run);
  shared.gather(layer.q);
}

}  // namespace

void bind_sequences(nb::module_& m) {
  const auto both = [&m](const char* name, auto single, auto twofold, const char* text) {
    m.def(
        name,
        [single, twofold](const std::string& dtype, nb::dict description, nb::dict call) {
          if (dtype == "float32") return single(description, call);
          if (dtype == "float64") return twofold(description, call);
          refuse("dtype is '", dtype, "', expected 'float32' or 'float64'");
        },
        nb::arg("dtype"), nb::arg("description"), nb::arg("call"), text);
  };
  both("sequence_forward", &forward<float>, &forward<double>,
       "Forward pass of one direction of one layer; carrousel/kernels/native/sequence.py makes the "
       "call.");
  m.attr("sequence_norms") = kNorms;
  m.attr("sequence_window_bytes") = kWindowBytes;
  m.attr("sequence_window_rows") = kWindowRows;
  both("sequence_backward", &backward<float>, &backward<double>,
       "Backward pass of sequence_forward.");
}
