// Python class of a live series: nets of an ensemble, one row per call.
#include "step/live.h"

#include "bind/stepper.h"

using namespace carrousel;

namespace {

constexpr Index kMostNets = 1024, kMostWidth = 1 << 20;

// A row of numbers, lent by a NumPy array of float64 or float32.
class Row {
 public:
  Row(nb::handle object, Index n) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_FORMAT | PyBUF_C_CONTIGUOUS) != 0) {
      PyErr_Clear();
      refuse("row is not an array of float64 or float32");
    }
    const char* const type = view_.format ? view_.format : "B";
    const bool real = (type[0] == 'd' || type[0] == 'f') && !type[1];
    is_double_ = type[0] == 'd';
    const bool fits = view_.ndim == 1 && view_.shape[0] == n;
    if (real && fits) return;
    PyBuffer_Release(&view_);
    if (!real) refuse("row is not an array of float64 or float32");
    refuse("row has the wrong shape, expected ", n, " values");
  }
  Row(const Row&) = delete;
  ~Row() { PyBuffer_Release(&view_); }

  void read(LiveFeatures& features, const double* time, float* into) const {
    if (is_double_) features.row(static_cast<const double*>(view_.buf), time, into);
    else features.row(static_cast<const float*>(view_.buf), time, into);
  }

 private:
  Py_buffer view_;
  bool is_double_ = false;
};

class Live {
 public:
  Live(nb::dict features, nb::list nets, double temperature) : temperature_(temperature) {
    if (!(temperature >= 0 && std::isfinite(temperature)))
      refuse("temperature is ", temperature, ", expected a finite number of at least 0");
    symbols_ = check_number("symbols", setting<Index>(features, "symbols"), kMostWidth);
    take_features(features);
    if (!nets.size() || nets.size() > kMostNets)
      refuse("nets has ", nets.size(), " entries, expected 1..", kMostNets);
    for (const nb::handle item : nets) {
      nb::dict net;
      if (!nb::try_cast<nb::dict>(item, net)) refuse("nets holds something else than a dict");
      take_net(net);
    }
    inputs_.resize(static_cast<std::size_t>(symbols_ ? 1 : features_.inputs()));
    raw_ = Buffer<float>(static_cast<Index>(nets_.size()) * n_outputs_);
    answer_ = Buffer<double>(n_outputs_);
    room_ = Buffer<double>(n_outputs_);
    std::fill_n(raw_.data(), static_cast<Index>(nets_.size()) * n_outputs_, 0.0f);
    std::fill_n(answer_.data(), n_outputs_, 0.0);
    reset();
  }
  Live(const Live&) = delete;

  void reset() {
    features_.reset();
    for (auto& net : nets_) net.reset();
    for (auto* step : steps_) step->reset(std::nullopt);
  }

  void push(nb::handle row, nb::handle time) {
    Index symbol = 0;
    if (symbols_) symbol = symbol_of(row);
    else read(row, time);
    for (auto& net : nets_) net.run(inputs_.data(), symbol);
    float* to = raw_.data();
    for (const auto& net : nets_) to = std::copy_n(net.outputs.data(), n_outputs_, to);
    if (temperature_ == 0) return mean();
    mean_softmax(nets_, n_outputs_, temperature_, answer_.data(), room_.data());
  }

  nb::ndarray<nb::numpy, float, nb::ndim<2>> outputs(nb::handle self) {
    return {raw_.data(), {nets_.size(), static_cast<std::size_t>(n_outputs_)}, self};
  }
  nb::ndarray<nb::numpy, double, nb::ndim<1>> answer(nb::handle self) {
    return {answer_.data(), {static_cast<std::size_t>(n_outputs_)}, self};
  }

 private:
  Index symbol_of(nb::handle number) const {
    Index symbol;
    if (!nb::try_cast<Index>(number, symbol)) refuse("row is not the number of a symbol");
    if (symbol < -1 || symbol >= symbols_)
      refuse("the number of a symbol is ", symbol, ", expected -1 (missing) to ", symbols_ - 1);
    return symbol + 1;
  }

  void read(nb::handle row, nb::handle time) {
    const Row values(row, features_.channels());
    if (time.is_none()) return values.read(features_, nullptr, inputs_.data());
    const double at = PyFloat_AsDouble(time.ptr());
    if (at == -1 && PyErr_Occurred()) {
      PyErr_Clear();
      refuse("time is not a number");
    }
    values.read(features_, &at, inputs_.data());
  }

  void mean() {
    for (Index i = 0; i < n_outputs_; ++i) {
      double sum = 0;
      for (const auto& net : nets_) sum += net.outputs[static_cast<std::size_t>(i)];
      answer_.data()[i] = sum / static_cast<double>(nets_.size());
    }
  }

  void take_features(nb::dict d) {
    Arrays arrays;
    const Index n = check_number("channels", setting<Index>(d, "channels"), kMostWidth);
    const auto copy = [&](const char* name) {
      const double* const from = arrays.take<const double>(d[name], name, {n}, false);
      for (Index i = 0; i < n; ++i)
        if (!std::isfinite(from[i])) refuse(name, " holds a number that is not finite");
      return std::vector<double>(from, from + n);
    };
    features_.mean = copy("mean"), features_.scale = copy("scale");
    for (const double scale : features_.scale)
      if (!(scale > 0)) refuse("scale holds ", scale, ", expected numbers above 0");
    features_.timed = setting<bool>(d, "timed"), features_.unit = setting<double>(d, "unit");
    if (!(features_.unit > 0 && std::isfinite(features_.unit)))
      refuse("unit is ", features_.unit, ", expected a finite number above 0");
  }

  void take_net(nb::dict d) {
    Arrays arrays;
    LiveNet net;
    Stepper<float>& step = nb::cast<Stepper<float>&>(d["step"]);
    if (std::find(steps_.begin(), steps_.end(), &step) != steps_.end())
      refuse("step is given for two nets, which would share its state");
    if (step.net().batch != 1) refuse("step has ", step.net().batch, " sequences, expected 1");
    net.step = &step.net(), net.kernel = &step.kernel();
    net.states = step.outputs(), net.inner = step.inputs();
    const auto number = [&](const char* name) {
      return check_number(name, setting<Index>(d, name), kMostWidth);
    };
    net.width = number("width"), net.window = number("window");
    net.dilation = number("dilation");
    const Index outputs = number("outputs");
    if (!net.width || !outputs || (!nets_.empty() && outputs != n_outputs_))
      refuse("width is ", net.width, " and outputs ", outputs, ", expected at least 1, and as many "
             "outputs in each net");
    n_outputs_ = outputs;
    const Index filters = net.inner - net.width;
    if (net.window ? filters < 1 : filters != 0)
      refuse("width is ", net.width, " and window ", net.window, ", but the LSTM has ", net.inner,
             " inputs");
    if (!net.dilation || net.dilation > kMostWidth / std::max(net.window, Index{1}))
      refuse("dilation is ", net.dilation, ", expected at least 1 and a window below 2^20 steps");
    if (!symbols_ && net.width != features_.inputs())
      refuse("width is ", net.width, ", but there are ", features_.inputs(), " inputs");
    const auto part = [&](const char* name, Index n, Index padded) {
      const float* const from = arrays.take<const float>(d[name], name, {n}, false);
      std::vector<float> found(from, from + n);
      found.resize(static_cast<std::size_t>(padded));
      return found;
    };
    const auto matrix_of = [&](const char* name, Index rows, Index columns) {
      const float* const from = arrays.take<const float>(d[name], name, {rows, columns}, false);
      return Columns(rows, columns, from);
    };
    if (symbols_) {
      const float* const from =
          arrays.take<const float>(d["embedding"], "embedding", {symbols_ + 1, net.width}, false);
      net.embedding.assign(from, from + (symbols_ + 1) * net.width);
    }
    if (net.window) {
      net.filters = matrix_of("filters", filters, net.window * net.width);
      net.bias = part("bias", filters, net.filters.padded());
      net.gain = part("gain", filters, net.filters.padded());
      net.shift = part("shift", filters, net.filters.padded());
      net.epsilon = setting<double>(d, "epsilon");
      if (!(net.epsilon >= 0 && std::isfinite(net.epsilon)))
        refuse("epsilon is ", net.epsilon, ", expected a finite number of at least 0");
    }
    net.readout = matrix_of("readout", outputs, 2 * net.states + net.inner);
    net.readout_bias = part("readout_bias", outputs, net.readout.padded());
    net.prepare();
    nets_.push_back(std::move(net)), steps_.push_back(&step);
    kept_.append(d["step"]);
  }

  double temperature_;
  Index symbols_ = 0, n_outputs_ = 0;
  LiveFeatures features_;
  std::vector<LiveNet> nets_;
  std::vector<Stepper<float>*> steps_;
  nb::list kept_;  // the steppers
  std::vector<float> inputs_;
  Buffer<float> raw_;
  Buffer<double> answer_, room_;
};

}  // namespace

void bind_live(nb::module_& m) {
  nb::class_<Live>(m, "Live", "Nets of an ensemble that read one series row by row.")
      .def(nb::init<nb::dict, nb::list, double>(), nb::arg("features"), nb::arg("nets"),
           nb::arg("temperature"))
      .def("push", &Live::push, nb::arg("row").none(), nb::arg("time").none(), "Read one row.")
      .def("reset", &Live::reset, "Begin a new series.")
      .def_prop_ro(
          "outputs", [](nb::handle self) { return nb::cast<Live&>(self).outputs(self); },
          "Outputs [nets, O] after the last row; the next row overwrites them.")
      .def_prop_ro(
          "answer", [](nb::handle self) { return nb::cast<Live&>(self).answer(self); },
          "Mean over nets of the outputs [O], or of their softmax if temperature > 0.");
}
