// The single step as a Python object. Arrays are checked before a pointer is used.
#pragma once

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "bind/arrays.h"
#include "bind/sequence.h"
#include "sequence/run.h"
#include "step/step.h"

namespace carrousel {

inline constexpr Index kMostLayers = 1024;

inline double share_of(const char* name, double share) {
  if (!(share >= 0 && share <= 1))
    refuse(name, " is ", share, ", expected 0..1");
  return share;
}

template <class Real>
class Stepper {
 public:
  Stepper(nb::dict recurrence, nb::list weights, Index batch, Index inputs, double zone_h,
          double zone_s, const std::string& storage, const std::string& instruction_set)
      : kernel_(kernel_named<Real>(step_kernels(), instruction_set)),
        R_(recurrence_of(recurrence)),
        storage_(storage_named(storage)) {
    if (storage_ != Storage::real && !std::is_same_v<Real, float>)
      refuse("storage is '", storage, "', expected '' for float64");
    if (R_.products) refuse("products has entries, but the single step computes one product");
    net_.batch = check_number("batch", batch, Index{1} << 20);
    inputs_ = check_number("inputs", inputs, Index{1} << 24);
    if (!batch || !inputs)
      refuse("batch is ", batch, " and inputs ", inputs, ", expected at least 1");
    net_.zone_h = share_of("zone_h", zone_h), net_.zone_s = share_of("zone_s", zone_s);
    const Index layers = static_cast<Index>(weights.size());
    if (layers < 1 || layers > kMostLayers)
      refuse("weights has ", layers, " layers, expected 1..", kMostLayers);
    Arrays arrays;
    const std::vector<StepLayer<Real>> given = take(weights, arrays);
    net_.layers = given;
    memory_ = carrousel::Buffer<Real>(static_cast<Index>(kernel_.lay_out(net_, nullptr)));
    Real* const memory = memory_.data();
    kernel_.lay_out(net_, memory);
    for (auto& layer : net_.layers)
      layer.w_ih = layer.sequence.weights.w_hh = layer.sequence.weights.w_hr = nullptr;
    std::fill_n(net_.in, net_.batch * inputs_, Real{0});
    std::fill_n(net_.out, net_.batch * shown(), Real{0});
    kernel_.load(net_, given);
    reset(std::nullopt);
  }
  Stepper(const Stepper&) = delete;

  StepNet<Real>& net() { return net_; }
  const StepKernel<Real>& kernel() const { return kernel_; }
  Index inputs() const { return inputs_; }
  Index outputs() const { return shown(); }

  void run() { kernel_.run(net_); }
  void prepare() { kernel_.prepare(net_); }

  void load(nb::list weights) {
    Arrays arrays;
    const std::vector<StepLayer<Real>> given = take(weights, arrays);
    for (std::size_t i = 0; i < given.size(); ++i)
      if (!same_parts(given[i], net_.layers[i]))
        refuse("weights[", i,
               "] lacks or adds an optional array; give the same arrays as when the layer was "
               "created");
    kernel_.load(net_, given);
  }

  void reset(std::optional<Index> row) {
    if (row && (*row < 0 || *row >= net_.batch))
      refuse("row is ", *row, ", expected 0..", net_.batch - 1);
    const Index first = row ? *row : 0, end = row ? first + 1 : net_.batch;
    const auto renew = [&](const Real* fresh, Index n, Real* to) {
      for (Index b = first; b < end; ++b)
        if (fresh) std::copy_n(fresh, n, to + b * n);
        else std::fill_n(to + b * n, n, Real{0});
    };
    for (auto& layer : net_.layers) {
      renew(layer.sequence.weights.fresh_h, R_.sources, layer.sequence.h);
      renew(layer.sequence.weights.fresh_s, R_.state_width(), layer.sequence.s);
    }
    net_.prepared = false;
  }

  void read_state(nb::object h, nb::object s) const {
    Arrays arrays;
    Real *const to_h = state<Real>(arrays, h, "h", R_.sources, true);
    Real *const to_s = state<Real>(arrays, s, "s", R_.state_width(), true);
    arrays.check();
    std::copy_n(net_.h, layers() * net_.batch * R_.sources, to_h);
    std::copy_n(net_.s, layers() * net_.batch * R_.state_width(), to_s);
  }

  void write_state(nb::object h, nb::object s) {
    Arrays arrays;
    const Real *const from_h = state<const Real>(arrays, h, "h", R_.sources, false);
    const Real *const from_s = state<const Real>(arrays, s, "s", R_.state_width(), false);
    std::copy_n(from_h, layers() * net_.batch * R_.sources, net_.h);
    std::copy_n(from_s, layers() * net_.batch * R_.state_width(), net_.s);
    net_.prepared = false;
  }

  using Buffer = nb::ndarray<nb::numpy, Real, nb::ndim<2>>;
  Buffer buffer(nb::handle self, Real* data, Index width) const {
    return Buffer(data, {static_cast<std::size_t>(net_.batch), static_cast<std::size_t>(width)},
                  self);
  }
  Buffer input(nb::handle self) const { return buffer(self, net_.in, inputs_); }
  Buffer output(nb::handle self) const { return buffer(self, net_.out, shown()); }

 private:
  Index layers() const { return static_cast<Index>(net_.layers.size()); }
  Index shown() const { return R_.projection ? R_.sources : R_.units; }

  template <class T>
  T* state(Arrays& arrays, nb::handle array, const char* name, Index width, bool writable) const {
    return arrays.take<T>(array, name, {layers(), net_.batch, width}, writable);
  }

  static bool same_parts(const StepLayer<Real>& a, const StepLayer<Real>& b) {
    const auto &v = a.sequence.weights, &w = b.sequence.weights;
    const auto both = [](const Real* one, const Real* other) { return !one == !other; };
    const bool described = a.sequence.recurrence.kind == CellKind::described;
    return (described || both(v.bias, w.bias)) && both(v.unit, w.unit) &&
           both(v.fresh_h, w.fresh_h) && both(v.fresh_s, w.fresh_s);
  }

  // Layers whose weights point into the given arrays, after a check of their shapes.
  std::vector<StepLayer<Real>> take(nb::list weights, Arrays& arrays) const {
    if (!net_.layers.empty() && static_cast<Index>(weights.size()) != layers())
      refuse("weights has ", weights.size(), " layers, expected ", layers());
    std::vector<StepLayer<Real>> found;
    for (const nb::handle item : weights) {
      nb::dict part;
      if (!nb::try_cast<nb::dict>(item, part))
        refuse("weights[", found.size(), "] has the wrong type, expected a dict");
      found.push_back(take_layer(part, arrays, found.empty() ? inputs_ : shown()));
    }
    return found;
  }

  StepLayer<Real> take_layer(nb::dict d, Arrays& arrays, Index inputs) const {
    const Index C = R_.units, U = R_.net_inputs, H = R_.sources;
    const auto stored = [&](const char* name, const char* scale, Index rows, Index width,
                            const float** scales) {
      const nb::object given = d.contains(scale) ? nb::object(d[scale]) : nb::none();
      return matrix<Real>(arrays, storage_, d[name], name, given, scale, rows, width, scales);
    };
    const auto part = [&](const char* name, std::initializer_list<Index> shape) {
      return arrays.given<const Real>(d[name], name, shape, false);
    };
    StepLayer<Real> layer{};
    layer.inputs = inputs;
    layer.w_ih = stored("w_ih", "s_ih", U, inputs, &layer.s_ih);
    layer.ln_ih = part("ln_ih", {U});
    if (!layer.w_ih) refuse("w_ih is missing");
    if ((layer.ln_ih != nullptr) != R_.layer_norm)
      refuse(R_.layer_norm ? "ln_ih is missing; layer_norm needs it"
                           : "ln_ih is given, but layer_norm is off");
    Sequence<Real>& q = layer.sequence;
    q.recurrence = R_, q.batch = net_.batch, q.threads = 1, q.storage = storage_;
    auto& w = q.weights;
    w.w_hh = stored("w_hh", "s_hh", U, H, &w.s_hh), w.bias = part("bias", {U});
    w.unit = part("unit", {R_.unit_parameters, C});
    w.w_hr = stored("w_hr", "s_hr", H, C, &w.s_hr);
    w.ln_hh = part("ln_hh", {U}), w.ln_c = part("ln_c", {2, C});
    w.fresh_h = part("fresh_h", {H}), w.fresh_s = part("fresh_s", {R_.state_width()});
    check_parts(R_, {.w_hh = w.w_hh != nullptr,
                     .w_ih = true,
                     .bias = w.bias != nullptr,
                     .unit = w.unit != nullptr,
                     .w_hr = w.w_hr != nullptr,
                     .ln_ih = R_.layer_norm && R_.kind != CellKind::described,
                     .ln_hh = w.ln_hh != nullptr,
                     .ln_c = w.ln_c != nullptr});
    return layer;
  }

  const StepKernel<Real>& kernel_;
  Recurrence R_;
  Storage storage_;
  Index inputs_ = 0;
  StepNet<Real> net_{};
  carrousel::Buffer<Real> memory_;
};

}  // namespace carrousel
