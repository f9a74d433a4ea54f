// Python functions of the sequence kernels. Arrays are checked before a pointer is used.
#include "bind/sequence.h"

#include <nanobind/stl/string.h>

#include <algorithm>

#include "bind/arrays.h"
#include "bind/layer.h"

namespace nb = nanobind;
using namespace carrousel;

namespace {

// One direction of one layer, described by the dictionary of a call.
template <class Real>
struct DictLayer : Layer<Real> {
  DictLayer(nb::dict description, nb::dict d, bool learn, Arrays& arrays)
      : Layer<Real>(
            kernel_named<Real>(sequence_kernels(), setting<std::string>(d, "instruction_set")),
            recurrence_of(description), learn) {
    auto& q = this->q;
    q.batch = number(d, "batch", Index{1} << 31), q.inputs = number(d, "inputs", Index{1} << 31);
    q.all_threads = static_cast<int>(number(d, "threads", 1024));
    q.cut = setting<int>(d, "cut"), q.sources = setting<bool>(d, "sources");
    take_weights(d, arrays);
    this->check();
  }

  static Index number(nb::dict d, const char* name, Index most) {
    return check_number(name, setting<Index>(d, name), most);
  }

 private:
  void take_weights(nb::dict d, Arrays& arrays) {
    auto& q = this->q;
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
  }
};

// Arrays of both passes. Backward only reads them, including the tape.
template <class Real>
Run<Real> take_run(nb::dict d, const DictLayer<Real>& layer, bool learn, Arrays& arrays) {
  const Sequence<Real>& q = layer.q;
  const Recurrence& R = q.recurrence;
  const Index B = q.batch, H = R.sources, DC = R.state_width();
  Run<Real> run{};
  run.steps = DictLayer<Real>::number(d, "steps", Index{1} << 40);
  run.recompute = DictLayer<Real>::number(d, "recompute", Index{1} << 40);
  run.window = DictLayer<Real>::number(d, "window", Index{1} << 40);
  run.samples = DictLayer<Real>::number(d, "samples", Index{1} << 31);
  run.reverse = setting<bool>(d, "reverse");
  run.zone_h = setting<double>(d, "zone_h"), run.zone_s = setting<double>(d, "zone_s");
  check_shares(run.zone_h, run.zone_s);
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
void forward(nb::dict description, nb::dict d) {
  Arrays arrays;
  DictLayer<Real> layer(description, d, false, arrays);
  Run<Real> run = take_run(d, layer, false, arrays);
  const Index B = layer.q.batch;
  Real* const h = arrays.take<Real>(d["h"], "h", {B, layer.q.recurrence.sources}, true);
  Real* const s = arrays.take<Real>(d["s"], "s", {B, layer.q.recurrence.state_width()}, true);
  arrays.check();
  const nb::gil_scoped_release unlocked;
  layer.open(h, s, run);
  if (B) run_forward(layer.kernel, layer.q, run);
}

// Arrays for the gradients of parameters that all steps share.
template <class Real>
Shared<Real> take_shared(nb::dict d, const Recurrence& R, Arrays& arrays) {
  const auto to = [&](const char* name, std::initializer_list<Index> shape) {
    return arrays.given<Real>(d[name], name, shape, true);
  };
  return {to("d_unit", {R.unit_parameters, R.units}),
          to("d_ln_ih", {R.net_inputs}),
          to("d_ln_hh", {R.net_inputs}),
          to("d_ln_c", {2, R.units}),
          to("d_fresh_h", {R.sources}),
          to("d_fresh_s", {R.state_width()})};
}

template <class Real>
void backward(nb::dict description, nb::dict d) {
  Arrays arrays;
  DictLayer<Real> layer(description, d, true, arrays);
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
  const Shared<Real> shared = take_shared<Real>(d, R, arrays);
  arrays.check();
  for (const char* name : {"states", "gates", "extra"})
    if (!run.recompute && d[name].is_none())
      refuse_array(name, "is missing; the backward pass needs it");
  if (run.recompute && d["marks"].is_none())
    refuse_array("marks", "is missing; recompute needs it");
  Arrays unused;
  DictLayer<Real> again(description, d, false, unused);
  const nb::gil_scoped_release unlocked;
  layer.open(dh, ds, run);
  const Buffer<Real> state(run.recompute ? B * (H + DC) : 0);
  if (run.recompute) again.open(state.data(), state.data() + B * H, run);
  if (B) run_backward(layer.kernel, layer.q, run.recompute ? &again.q : nullptr, run);
  layer.gather(shared);
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
