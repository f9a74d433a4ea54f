// The sequence kernels as Python sees them; every array is checked here, before a pointer is used.
#include "bind_sequence.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <cmath>
#include <optional>

#include "bind_arrays.h"

namespace nb = nanobind;
using namespace carrousel;

namespace {

template <class Real>
class Runner {
 public:
  Runner(nb::dict recurrence, nb::dict weights, Index batch, int threads, int cut, bool learn,
         bool sources, nb::object h, nb::object s, const std::string& instruction_set)
      : kernel_(kernel_named<Real>(sequence_kernels(), instruction_set)) {
    q_.recurrence = recurrence_of(recurrence);
    if (threads < 1 || threads > 1024) throw std::invalid_argument("threads must lie in 1..1024");
    if (cut < -1) throw std::invalid_argument("cut must be at least -1");
    q_.batch = check_number("batch", batch, Index{1} << 31);
    q_.threads = static_cast<int>(std::min<Index>(threads, std::max<Index>(batch, 1)));
    q_.cut = cut, q_.learn = learn, q_.sources = sources;
    take_weights(weights);
    const Recurrence& R = q_.recurrence;
    q_.h = arrays_.take<Real>(h, "h", {batch, R.sources}, true);
    q_.s = arrays_.take<Real>(s, "s", {batch, R.state_width()}, true);
    arrays_.check();
    if (q_.weights.drop && !sources) throw std::invalid_argument("drop needs sources");
    q_.packed = nullptr, q_.scratch = nullptr;
    q_.packed = allocate<Real>(packed_, kernel_.packed_size(q_));
    q_.scratch = allocate<Real>(scratch_, kernel_.scratch_size(q_) * static_cast<std::size_t>(q_.threads));
    if (learn) share();
    kernel_.pack(q_);
  }

  void forward(nb::dict d) {
    Arrays arrays = arrays_;
    Window<Real> w = window(d, arrays);
    const Recurrence& R = q_.recurrence;
    const Index T = w.steps, B = q_.batch;
    w.x = arrays.take<Real>(d["x"], "x", {T, B, R.net_inputs}, false);
    w.out = arrays.take<Real>(d["out"], "out", {T, B, R.sources}, true);
    w.states = arrays.given<Real>(d["states"], "states", {T, B, R.state_width()}, true);
    w.gates = arrays.given<Real>(d["gates"], "gates", {T, B, R.gates_width()}, true);
    w.extra = arrays.given<Real>(d["extra"], "extra", {T, B, Extra(R, q_.sources).width}, true);
    if (R.kind == CellKind::described) arrays.check();
    else arrays.check("x", "gates");
    if (q_.learn) throw std::invalid_argument("this one was made for the way back");
    const nb::gil_scoped_release unlocked;
    if (T && B) kernel_.forward(q_, w);
  }

  void backward(nb::dict d) {
    Arrays arrays = arrays_;
    Window<Real> w = window(d, arrays);
    const Recurrence& R = q_.recurrence;
    const Index T = w.steps, B = q_.batch, K = R.sources, N = R.net_inputs, S = R.state_width();
    const auto in = [&](const char* name, Index width) {
      return const_cast<Real*>(arrays.given<const Real>(d[name], name, {T, B, width}, false));
    };
    w.out = in("out", K), w.states = in("states", S), w.gates = in("gates", R.gates_width());
    w.extra = in("extra", Extra(R, q_.sources).width);
    for (const char* name : {"out", "states", "gates", "extra"})
      if (d[name].is_none()) refuse_array(name, "is missing; the way back needs it");
    w.h_enter = arrays.take<const Real>(d["h_enter"], "h_enter", {B, K}, false);
    w.s_enter = arrays.take<const Real>(d["s_enter"], "s_enter", {B, S}, false);
    w.d_out = in("d_out", K), w.d_states = in("d_states", S);
    w.d_x = arrays.take<Real>(d["d_x"], "d_x", {T, B, N}, true);
    if (R.separate()) w.d_r = arrays.take<Real>(d["d_r"], "d_r", {T, B, N}, true);
    if (R.projection) w.d_projected = arrays.take<Real>(d["d_projected"], "d_projected", {T, B, K}, true);
    arrays.check();
    if (!q_.learn) throw std::invalid_argument("this one was made for the way forward");
    const nb::gil_scoped_release unlocked;
    if (T && B) kernel_.backward(q_, w);
  }

  // Adds what all threads gathered to the arrays given.
  void collect(nb::dict d) {
    if (!q_.learn) throw std::invalid_argument("only the way back gathers errors");
    const Recurrence& R = q_.recurrence;
    const auto gather = [&](const char* name, std::initializer_list<Index> shape, Real* Shared<Real>::*part) {
      Arrays arrays;
      Real* const to = arrays.given<Real>(d[name], name, shape, true);
      Index n = 1;
      for (const Index k : shape) n *= k;
      for (const auto& slice : q_.shared)
        for (Index i = 0; to && slice.*part && i < n; ++i) to[i] += (slice.*part)[i];
    };
    gather("unit", {R.unit_parameters, R.units}, &Shared<Real>::unit);
    gather("ln_hh", {R.net_inputs}, &Shared<Real>::ln_hh);
    gather("ln_c", {2, R.units}, &Shared<Real>::ln_c);
    gather("fresh_h", {R.sources}, &Shared<Real>::fresh_h);
    gather("fresh_s", {R.state_width()}, &Shared<Real>::fresh_s);
  }

 private:
  void take_weights(nb::dict d) {
    const Recurrence& R = q_.recurrence;
    const Index M = R.units, N = R.net_inputs, K = R.sources;
    const auto part = [&](const char* name, std::initializer_list<Index> shape) {
      return arrays_.given<const Real>(d[name], name, shape, false);
    };
    auto& w = q_.weights;
    w.w_hh = part("w_hh", {N, K}), w.bias = part("bias", {N});
    w.unit = part("unit", {R.unit_parameters, M}), w.w_hr = part("w_hr", {K, M});
    w.ln_hh = part("ln_hh", {N}), w.ln_c = part("ln_c", {2, M});
    w.fresh_h = part("fresh_h", {K}), w.fresh_s = part("fresh_s", {R.state_width()});
    w.drop = part("drop", {q_.batch, K});
    check_parts(R, {w.w_hh != nullptr, w.bias != nullptr, w.unit != nullptr, w.w_hr != nullptr,
                    w.ln_hh != nullptr, w.ln_c != nullptr});
  }

  Window<Real> window(nb::dict d, Arrays& arrays) {
    Window<Real> w{};
    const Recurrence& R = q_.recurrence;
    w.steps = check_number("steps", nb::cast<Index>(d["steps"]), Index{1} << 40);
    w.first = check_number("first", nb::cast<Index>(d["first"]), Index{1} << 40);
    w.reverse = nb::cast<bool>(d["reverse"]);
    w.zone_h = nb::cast<double>(d["zone_h"]), w.zone_s = nb::cast<double>(d["zone_s"]);
    if (!(w.zone_h >= 0 && w.zone_h <= 1 && w.zone_s >= 0 && w.zone_s <= 1))
      throw std::invalid_argument("zone_h and zone_s must lie in 0..1");
    const auto bits = [&](const char* name, std::initializer_list<Index> shape) {
      return arrays.given<const std::uint8_t>(d[name], name, shape, false);
    };
    w.flags = bits("flags", {w.steps, q_.batch});
    w.keep_h = bits("keep_h", {w.steps, q_.batch, R.sources});
    w.keep_s = bits("keep_s", {w.steps, q_.batch, R.state_width()});
    if (w.flags && !q_.sources) throw std::invalid_argument("flags need sources");
    return w;
  }

  void share() {
    const Recurrence& R = q_.recurrence;
    const Index sizes[] = {q_.weights.unit || R.kind == CellKind::described ? R.unit_parameters * R.units : 0,
                           R.layer_norm ? R.net_inputs : 0, q_.weights.ln_c ? 2 * R.units : 0, R.sources,
                           R.state_width()};
    std::size_t total = 0;
    for (const Index n : sizes) total += static_cast<std::size_t>(n + 15) / 16 * 16;
    Real* at = allocate<Real>(gathered_, total * static_cast<std::size_t>(q_.threads));
    std::fill_n(at, total * static_cast<std::size_t>(q_.threads), Real{0});
    for (int i = 0; i < q_.threads; ++i) {
      Shared<Real> slice{};
      Real** const parts[] = {&slice.unit, &slice.ln_hh, &slice.ln_c, &slice.fresh_h, &slice.fresh_s};
      for (int k = 0; k < 5; ++k) *parts[k] = sizes[k] ? at : nullptr, at += (sizes[k] + 15) / 16 * 16;
      q_.shared.push_back(slice);
    }
  }

  const SequenceKernel<Real>& kernel_;
  Sequence<Real> q_{};
  Arrays arrays_;
  Block packed_, scratch_, gathered_;
};

template <class Real>
void bind(nb::module_& m, const char* name) {
  using R = Runner<Real>;
  nb::class_<R>(m, name, "One direction of one layer: weights packed, and the state that runs on.")
      .def(nb::init<nb::dict, nb::dict, Index, int, int, bool, bool, nb::object, nb::object,
                    const std::string&>(),
           nb::arg("recurrence"), nb::arg("weights"), nb::arg("batch"), nb::arg("threads"),
           nb::arg("cut"), nb::arg("learn"), nb::arg("sources"), nb::arg("h"), nb::arg("s"),
           nb::arg("instruction_set") = "")
      .def("forward", &R::forward, nb::arg("window"), "Walk a window of steps forward.")
      .def("backward", &R::backward, nb::arg("window"), "Walk a window of steps back.")
      .def("collect", &R::collect, nb::arg("into"), "Add errors of what all steps share.");
}

}  // namespace

void bind_sequences(nb::module_& m) {
  bind<float>(m, "SequenceFloat");
  bind<double>(m, "SequenceDouble");
}
