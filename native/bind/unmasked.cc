// Python classes that run one direction of one layer without masks, resets and recomputation. A call
// has few arguments, which are checked at the cost of a comparison each: it serves programs that run
// one step at a time.
#include <nanobind/stl/string.h>

#include <algorithm>
#include <array>

#include "bind/arrays.h"
#include "bind/layer.h"
#include "bind/sequence.h"

using namespace carrousel;

namespace {

// Tensors of one call: shapes and types are checked, and no written one may overlap another.
class Views {
 public:
  // A tensor of this shape, which may have more or fewer axes of size 1 in front. None: null.
  template <class T>
  T* take(nb::handle object, const char* name, std::initializer_list<Index> shape, bool writable) {
    if (object.is_none()) return nullptr;
    nb::dlpack::dltensor view;
    const char* why;
    if (!view_tensor<T>(object, view, why)) return borrow<T>(object, name, shape, writable, why);
    expect(name, view.ndim, view.shape, shape);
    return remember(data_of<T>(view), name, shape, writable);
  }
  void check() const {
    for (int i = 0; i < count_; ++i)
      for (int j = 0; spans_[i].writable && j < count_; ++j)
        if (i != j && spans_[i].start < spans_[j].start + spans_[j].bytes &&
            spans_[j].start < spans_[i].start + spans_[i].bytes)
          refuse(spans_[i].name, " overlaps ", spans_[j].name);
  }

 private:
  static void expect(const char* name, Index dimensions, const Index* shape,
                     std::initializer_list<Index> wanted) {
    const Index* expected = wanted.begin();
    Index n = static_cast<Index>(wanted.size());
    for (; dimensions > n && *shape == 1; --dimensions) ++shape;
    for (; dimensions < n && *expected == 1; --n) ++expected;
    check_shape(name, static_cast<std::size_t>(dimensions), shape, expected,
                static_cast<std::size_t>(n));
  }

  template <class T>
  T* remember(T* data, const char* name, std::initializer_list<Index> shape, bool writable) {
    std::size_t bytes = sizeof(T);
    for (const Index n : shape) bytes *= static_cast<std::size_t>(n);
    if (count_ == static_cast<int>(spans_.size())) refuse("too many tensors");
    spans_[static_cast<std::size_t>(count_++)] = {name, reinterpret_cast<std::uintptr_t>(data),
                                                  bytes, writable};
    return data;
  }

  // Arrays of NumPy, and capsules of DLPack from versions of torch without an exchange table.
  template <class T>
  T* borrow(nb::handle object, const char* name, std::initializer_list<Index> shape, bool writable,
            const char* why) {
    Array<T> found;
    if (why) refuse_array(name, why);
    if (!nb::try_cast<Array<T>>(object, found, false))
      refuse_array(name, "has the wrong type or layout: expected a contiguous tensor of this "
                         "precision on the CPU");
    expect(name, static_cast<Index>(found.ndim()), found.shape_ptr(), shape);
    held_.push_back(nb::ndarray<>(found));
    return remember(found.data(), name, shape, writable);
  }

  std::array<Span, 40> spans_;
  int count_ = 0;
  std::vector<nb::ndarray<>> held_;
};

struct Sizes {
  Index steps, batch, inputs;
};

template <class Real>
Sizes sizes_of(nb::handle x) {
  nb::dlpack::dltensor view;
  const char* why;
  if (view_tensor<const Real>(x, view, why)) {
    if (view.ndim == 3) return {view.shape[0], view.shape[1], view.shape[2]};
    if (view.ndim == 2) return {1, view.shape[0], view.shape[1]};
    refuse("x has ", view.ndim, " axes, expected (T, B, I), or (B, I) for one step");
  }
  Array<const Real> found;
  if (why) refuse_array("x", why);
  if (!nb::try_cast<Array<const Real>>(x, found, false) || found.ndim() < 2 || found.ndim() > 3)
    refuse_array("x", "must be a contiguous tensor (T, B, I) or (B, I) of this precision");
  const auto at = [&](std::size_t i) { return static_cast<Index>(found.shape(i)); };
  return found.ndim() == 3 ? Sizes{at(0), at(1), at(2)} : Sizes{1, at(0), at(1)};
}

// Numbers of a call.
struct Settings {
  bool reverse;
  int cut;
  double zone_h, zone_s;
  Index threads;
};

template <class Real>
class UnmaskedCall : public Layer<Real> {
 public:
  UnmaskedCall(const SequenceKernel<Real>& kernel, const Recurrence& R, const Settings& settings,
            nb::handle x, bool learn)
      : Layer<Real>(kernel, R, learn) {
    const Sizes sizes = sizes_of<Real>(x);
    auto& q = this->q;
    q.batch = sizes.batch, q.inputs = sizes.inputs, q.cut = settings.cut;
    q.all_threads = static_cast<int>(check_number("threads", settings.threads, 1024));
    check_shares(settings.zone_h, settings.zone_s);
    run.steps = sizes.steps, run.reverse = settings.reverse;
    run.zone_h = settings.zone_h, run.zone_s = settings.zone_s;
    run.x = views.take<const Real>(x, "x", {run.steps, q.batch, q.inputs}, false);
  }

  void take_weights(nb::tuple weights) {
    auto& q = this->q;
    const Recurrence& R = q.recurrence;
    const Index C = R.units, U = R.net_inputs, H = R.sources;
    if (weights.size() != 9) refuse("weights has ", weights.size(), " entries, expected 9");
    std::size_t at = 0;
    const auto part = [&](const char* name, std::initializer_list<Index> shape) {
      return views.take<const Real>(weights[at++], name, shape, false);
    };
    auto& w = q.weights;
    w.w_ih = part("w_ih", {U, q.inputs}), w.w_hh = part("w_hh", {U, H});
    w.bias = part("bias", {U}), bias_hh_ = part("bias_hh", {U});
    w.unit = part("unit", {R.unit_parameters, C}), w.w_hr = part("w_hr", {H, C});
    w.ln_ih = part("ln_ih", {U}), w.ln_hh = part("ln_hh", {U}), w.ln_c = part("ln_c", {2, C});
    if (!w.w_ih) refuse("w_ih is missing");
    if (bias_hh_) add_biases();
    this->check();
  }

  void take_first(nb::handle h0, nb::handle s0) {
    const auto& q = this->q;
    const Index B = q.batch, H = q.recurrence.sources, DC = q.recurrence.state_width();
    run.h0 = views.take<const Real>(h0, "h0", {B, H}, false);
    run.s0 = views.take<const Real>(s0, "s0", {B, DC}, false);
  }

  void take_tape(nb::handle out, nb::handle states, nb::handle gates, nb::handle extra,
                 bool written) {
    const auto& q = this->q;
    const Index T = run.steps, B = q.batch;
    const Recurrence& R = q.recurrence;
    run.out = views.take<Real>(out, "out", {T, B, R.sources}, written);
    run.states = views.take<Real>(states, "states", {T, B, R.state_width()}, written);
    run.gates = views.take<Real>(gates, "gates", {T, B, R.gates_width()}, written);
    run.extra = views.take<Real>(extra, "extra", {T, B, q.extra().width}, written);
    if (!run.out && (written || T != 1)) refuse("out is missing");
  }

  // States before the first step that the caller left out are zero.
  void fill_first() {
    const auto& q = this->q;
    const Index h = q.batch * q.recurrence.sources, s = q.batch * q.recurrence.state_width();
    if (run.h0 && (run.s0 || !s)) return;
    zeros_ = Buffer<Real>(std::max(h, s));
    std::fill_n(zeros_.data(), std::max(h, s), Real{0});
    if (!run.h0) run.h0 = zeros_.data();
    if (!run.s0) run.s0 = zeros_.data();
  }

  bool has_own_bias() const { return bias_hh_; }

  Views views;
  Run<Real> run{};

 private:
  // The kernels take the sum of two biases; the new value of a GRU takes them apart.
  void add_biases() {
    auto& w = this->q.weights;
    const Index U = this->q.recurrence.net_inputs, C = this->q.recurrence.units;
    const bool gru = this->q.recurrence.kind == CellKind::gru;
    if (!w.bias) refuse("bias_hh is given without bias");
    if (gru && w.unit) refuse("unit of a gru is a part of bias_hh; give one of them");
    bias_ = Buffer<Real>(U);
    const Index both = gru ? 2 * C : U;
    for (Index u = 0; u < U; ++u) bias_.data()[u] = w.bias[u] + (u < both ? bias_hh_[u] : Real{0});
    if (gru) w.unit = bias_hh_ + 2 * C;
    w.bias = bias_.data();
  }

  const Real* bias_hh_ = nullptr;
  Buffer<Real> bias_, zeros_;
};

template <class Real>
class UnmaskedLayer {
 public:
  UnmaskedLayer(nb::dict description, const std::string& instruction_set)
      : kernel_(kernel_named<Real>(sequence_kernels(), instruction_set)),
        R_(recurrence_of(description)) {}

  void forward(nb::handle x, nb::handle h0, nb::handle s0, nb::tuple weights, nb::handle out,
               nb::handle h, nb::handle s, nb::handle states, nb::handle gates, nb::handle extra,
               bool reverse, int cut, double zone_h, double zone_s, Index threads) const {
    UnmaskedCall<Real> call(kernel_, R_, {reverse, cut, zone_h, zone_s, threads}, x, false);
    call.take_weights(weights), call.take_first(h0, s0);
    call.take_tape(out, states, gates, extra, true);
    const Index B = call.q.batch, H = R_.sources, DC = R_.state_width();
    Real* const last_h = call.views.template take<Real>(h, "h", {B, H}, true);
    Real* const last_s = call.views.template take<Real>(s, "s", {B, DC}, true);
    call.views.check();
    if (!call.run.steps && (!last_h || (DC && !last_s)))
      refuse("h and s may be None only if there are steps");
    const nb::gil_scoped_release unlocked;
    call.fill_first();
    const carrousel::Buffer<Real> own(last_h && (last_s || !DC) ? 0 : B * (H + DC));
    call.open(last_h ? last_h : own.data(), last_s || !DC ? last_s : own.data() + B * H, call.run);
    if (B) run_forward(kernel_, call.q, call.run);
  }

  void backward(nb::handle x, nb::handle h0, nb::handle s0, nb::tuple weights, nb::tuple tape,
                nb::tuple errors, nb::tuple gradients, bool reverse, int cut, double zone_h,
                double zone_s, Index threads) const {
    UnmaskedCall<Real> call(kernel_, R_, {reverse, cut, zone_h, zone_s, threads}, x, true);
    if (tape.size() != 4) refuse("tape has ", tape.size(), " entries, expected 4");
    if (errors.size() != 3) refuse("errors has ", errors.size(), " entries, expected 3");
    if (gradients.size() != 12) refuse("gradients has ", gradients.size(), " entries, expected 12");
    call.take_weights(weights), call.take_first(h0, s0);
    call.take_tape(tape[0], tape[1], tape[2], tape[3], false);
    check_tape(call);
    Gradients to = take_gradients(call, gradients);
    const Index T = call.run.steps, B = call.q.batch, H = R_.sources, DC = R_.state_width();
    call.run.d_out = call.views.template take<const Real>(errors[0], "d_out", {T, B, H}, false);
    const Real* const d_h = call.views.template take<const Real>(errors[1], "d_h", {B, H}, false);
    const Real* const d_s = call.views.template take<const Real>(errors[2], "d_s", {B, DC}, false);
    call.views.check();
    const nb::gil_scoped_release unlocked;
    call.fill_first();
    const carrousel::Buffer<Real> own(B * (H + DC));
    if (!to.h0) to.h0 = own.data();
    if (!to.s0) to.s0 = own.data() + B * H;
    start(d_h, B * H, to.h0), start(d_s, B * DC, to.s0);
    call.run.fresh = call.run.steps == 1 && B > 0 && R_.kind != CellKind::described;
    call.open(to.h0, to.s0, call.run);
    to.clear(call);
    if (B) run_backward(kernel_, call.q, static_cast<const Sequence<Real>*>(nullptr), call.run);
    call.gather(to.shared);
    to.split_biases(call);
  }

 private:
  static void start(const Real* from, Index n, Real* to) {
    if (from) std::copy_n(from, n, to);
    else std::fill_n(to, n, Real{0});
  }

  void check_tape(const UnmaskedCall<Real>& call) const {
    const Index rows = call.run.steps * call.q.batch;
    if (rows && R_.gates_width() && !call.run.gates)
      refuse("gates are missing; the backward pass needs them");
    if (rows && R_.states && call.run.steps > 1 && !call.run.states)
      refuse("states are missing; the backward pass needs them");
    if (rows && call.q.extra().width && !call.run.extra)
      refuse("extra is missing; the backward pass needs it");
  }

  // Where gradients go, in the order of the caller's tuple; null: unwanted.
  struct Gradients {
    Real *h0, *s0, *bias_hh;
    Shared<Real> shared;
    carrousel::Buffer<Real> unit, bias;  // of the parts of a second bias

    // Gradients are sums, which start from zero.
    void clear(UnmaskedCall<Real>& call) const {
      const auto& q = call.q;
      const auto& R = q.recurrence;
      const auto zero = [](Real* to, Index n) {
        if (to) std::fill_n(to, n, Real{0});
      };
      const auto& run = call.run;
      zero(run.d_bias, R.net_inputs);
      if (!run.fresh) {
        zero(run.d_w_ih, R.net_inputs * q.inputs), zero(run.d_w_hh, R.net_inputs * R.sources);
        zero(run.d_w_hr, R.sources * R.units);
      }
      zero(shared.unit, R.unit_parameters * R.units), zero(shared.ln_ih, R.net_inputs);
      zero(shared.ln_hh, R.net_inputs), zero(shared.ln_c, 2 * R.units);
    }

    void split_biases(const UnmaskedCall<Real>& call) const {
      if (!bias_hh) return;
      const auto& R = call.q.recurrence;
      const Index C = R.units, both = R.kind == CellKind::gru ? 2 * C : R.net_inputs;
      std::copy_n(call.run.d_bias, both, bias_hh);
      if (R.kind == CellKind::gru) std::copy_n(shared.unit, C, bias_hh + both);
    }
  };

  Gradients take_gradients(UnmaskedCall<Real>& call, nb::tuple given) const {
    const Index C = R_.units, U = R_.net_inputs, H = R_.sources, B = call.q.batch;
    std::size_t at = 0;
    const auto to = [&](const char* name, std::initializer_list<Index> shape) {
      return call.views.template take<Real>(given[at++], name, shape, true);
    };
    Gradients g{};
    auto& run = call.run;
    run.d_x = to("d_x", {run.steps, B, call.q.inputs});
    g.h0 = to("d_h0", {B, H}), g.s0 = to("d_s0", {B, R_.state_width()});
    run.d_w_ih = to("d_w_ih", {U, call.q.inputs}), run.d_w_hh = to("d_w_hh", {U, H});
    run.d_bias = to("d_bias", {U}), g.bias_hh = to("d_bias_hh", {U});
    g.shared.unit = to("d_unit", {R_.unit_parameters, C}), run.d_w_hr = to("d_w_hr", {H, C});
    g.shared.ln_ih = to("d_ln_ih", {U}), g.shared.ln_hh = to("d_ln_hh", {U});
    g.shared.ln_c = to("d_ln_c", {2, C});
    if (g.bias_hh && !call.has_own_bias()) refuse("d_bias_hh is given, but bias_hh is not");
    if (g.bias_hh && !run.d_bias) g.bias = carrousel::Buffer<Real>(U), run.d_bias = g.bias.data();
    if (g.bias_hh && R_.kind == CellKind::gru)
      g.unit = carrousel::Buffer<Real>(C), g.shared.unit = g.unit.data();
    return g;
  }

  const SequenceKernel<Real>& kernel_;
  Recurrence R_;
};

template <class Real>
void bind(nb::module_& m, const char* name) {
  using L = UnmaskedLayer<Real>;
  nb::class_<L>(m, name, "One direction of one layer without masks, resets and recomputation.")
      .def(nb::init<nb::dict, const std::string&>(), nb::arg("description"),
           nb::arg("instruction_set") = "")
      .def("forward", &L::forward, nb::arg("x"), nb::arg("h0").none(), nb::arg("s0").none(),
           nb::arg("weights"), nb::arg("out"), nb::arg("h").none(), nb::arg("s").none(),
           nb::arg("states").none(), nb::arg("gates").none(), nb::arg("extra").none(),
           nb::arg("reverse"), nb::arg("cut"), nb::arg("zone_h"), nb::arg("zone_s"),
           nb::arg("threads"), "Write outputs, the last state, and the tape; None: not wanted.")
      .def("backward", &L::backward, nb::arg("x"), nb::arg("h0").none(), nb::arg("s0").none(),
           nb::arg("weights"), nb::arg("tape"), nb::arg("errors"), nb::arg("gradients"),
           nb::arg("reverse"), nb::arg("cut"), nb::arg("zone_h"), nb::arg("zone_s"),
           nb::arg("threads"), "Write the wanted gradients of forward.");
}

}  // namespace

void bind_unmasked(nb::module_& m) {
  bind<float>(m, "UnmaskedLayerFloat");
  bind<double>(m, "UnmaskedLayerDouble");
}
