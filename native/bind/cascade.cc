// The Python class of a batch of cascade-correlation. Indices are checked once, when it is made.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>

#include "bind/arrays.h"
#include "bind/sequence.h"
#include "cascade/cascade.h"
#include "cascade/distinct.h"

using namespace carrousel;

namespace {

const CascadeKernels& kernel_for(const std::string& name) {
  for (const Kernel* kernel : kernels())
    if (name.empty() || name == kernel->name) return *kernel->cascades;
  refuse("instruction set '", name, "' is not available on this processor");
}

// Copies of the arrays of a batch, in the kernels' order.
class Batch {
 public:
  Batch(nb::dict d, const std::string& instruction_set) : kernel_(kernel_for(instruction_set)) {
    const auto size = [&](const char* name, Index most) {
      return check_number(name, setting<Index>(d, name), most);
    };
    constexpr Index most = Index{1} << 40;
    b_.steps = size("steps", most), b_.times = size("times", most);
    b_.targets = size("targets", most), b_.sequences = size("sequences", most);
    b_.outputs = size("outputs", Index{1} << 24);
    const Index inputs = size("inputs", Index{1} << 24);
    const bool symbolic = !nb::borrow(d["symbols"]).is_none();
    b_.alphabet = symbolic ? inputs : 0, b_.dense = symbolic ? 0 : inputs;
    Arrays arrays;
    const auto indices = [&](const char* name, Index n) {
      const Index* from = arrays.take<const Index>(d[name], name, {n}, false);
      return std::vector<Index>(from, from + n);
    };
    const auto numbers = [&](const char* name, std::initializer_list<Index> shape) {
      return arrays.take<const double>(d[name], name, shape, false);
    };
    if (symbolic) symbols_ = indices("symbols", b_.steps);
    starts_ = indices("starts", b_.times + 1), at_ = indices("at", b_.targets);
    sequence_ = indices("sequence", b_.targets);
    check_indices();
    if (!symbolic) append(sources_, numbers("values", {inputs, b_.steps}), inputs * b_.steps);
    append(often_, numbers("often", {b_.targets}), b_.targets);
    transpose(numbers("goals", {b_.outputs, b_.targets}));
    point();
  }
  Batch(const Batch&) = delete;

  void train_outputs(nb::object weights, double offset, nb::object errors, nb::object slopes,
                     nb::object sums) const {
    Arrays arrays;
    CascadeOutputs out{};
    out.weights = arrays.take<const double>(weights, "weights", {b_.outputs, b_.weights()}, false);
    out.offset = offset;
    out.errors = arrays.take<double>(errors, "errors", {b_.targets, b_.outputs}, true);
    out.slopes = arrays.take<double>(slopes, "slopes", {b_.outputs, b_.weights()}, true);
    out.max_abs = arrays.take<double>(sums, "sums", {3, b_.sequences}, true);
    out.sum_abs = out.max_abs + b_.sequences, out.sum_sq = out.sum_abs + b_.sequences;
    arrays.check();
    const nb::gil_scoped_release unlocked;
    kernel_.train_outputs(b_, out);
  }

  void train_pool(nb::object weights, nb::object errors, bool tanh, bool normalised,
                  nb::object merits, nb::object slopes) const {
    Array<const double> given;
    if (!nb::try_cast(weights, given, false) || given.ndim() != 2)
      refuse("weights has the wrong type, shape or layout: expected a contiguous float64 array "
             "with 2 axes");
    CascadePool pool{};
    pool.size = static_cast<Index>(given.shape(0)), pool.tanh = tanh, pool.normalised = normalised;
    const Index width = b_.weights() + 1;
    Arrays arrays;
    pool.weights = arrays.take<const double>(weights, "weights", {pool.size, width}, false);
    pool.errors = arrays.take<const double>(errors, "errors", {b_.targets, b_.outputs}, false);
    pool.merits = arrays.take<double>(merits, "merits", {pool.size}, true);
    pool.slopes = arrays.take<double>(slopes, "slopes", {pool.size, width}, true);
    arrays.check();
    const nb::gil_scoped_release unlocked;
    kernel_.train_pool(b_, pool);
  }

  void predict(nb::object weights, nb::object outputs) const {
    Arrays arrays;
    const double* from =
        arrays.take<const double>(weights, "weights", {b_.outputs, b_.weights()}, false);
    double* to = arrays.take<double>(outputs, "outputs", {b_.targets, b_.outputs}, true);
    arrays.check();
    const nb::gil_scoped_release unlocked;
    kernel_.predict(b_, from, to);
  }

  void grow(nb::object weights, bool tanh) {
    Arrays arrays;
    const double* from = arrays.take<const double>(weights, "weights", {b_.weights() + 1}, false);
    std::vector<double> row(static_cast<std::size_t>(b_.steps));
    kernel_.activate(b_, from, tanh, row.data());
    append(sources_, row.data(), b_.steps);
    b_.dense += 1, b_.sources = sources_.data();
  }

  std::size_t nbytes() const {
    std::size_t count = sources_.size() + often_.size() + goals_.size();
    for (const auto* each : {&symbols_, &starts_, &at_, &target_of_, &sequence_})
      count += each->size();
    return 8 * count;
  }

 private:
  static void append(std::vector<double>& to, const double* from, Index count) {
    to.insert(to.end(), from, from + count);
  }

  void check_indices() const {
    const auto below = [](const char* name, const std::vector<Index>& all, Index limit) {
      for (const Index i : all)
        if (i < 0 || i >= limit) refuse(name, " has ", i, ", expected 0..", limit - 1);
    };
    below("symbols", symbols_, b_.alphabet), below("sequence", sequence_, b_.sequences);
    below("at", at_, b_.steps);
    for (std::size_t m = 1; m < at_.size(); ++m)
      if (at_[m] <= at_[m - 1]) refuse("at must increase, got ", at_[m], " after ", at_[m - 1]);
    if (starts_.front() != 0 || starts_.back() != b_.steps)
      refuse("starts run from ", starts_.front(), " to ", starts_.back(), ", expected 0 to ",
             b_.steps);
    for (Index t = 0, before = b_.steps; t < b_.times; ++t) {
      const auto i = static_cast<std::size_t>(t);
      // An overflow is impossible only after the bounds are known.
      if (starts_[i + 1] <= starts_[i] || starts_[i + 1] > b_.steps ||
          starts_[i + 1] - starts_[i] > before)
        refuse("starts[", t + 1, "] is ", starts_[i + 1], " after ", starts_[i],
               ", expected at least one sequence and no more than the step before");
      before = starts_[i + 1] - starts_[i];
    }
  }

  void transpose(const double* goals) {
    const Index padded = b_.padded();
    goals_.assign(static_cast<std::size_t>(b_.targets * padded), 0.0);
    for (Index o = 0; o < b_.outputs; ++o)
      for (Index m = 0; m < b_.targets; ++m)
        goals_[static_cast<std::size_t>(m * padded + o)] = goals[o * b_.targets + m];
  }

  void point() {
    target_of_.assign(static_cast<std::size_t>(b_.steps), b_.targets);
    for (Index m = 0; m < b_.targets; ++m)
      target_of_[static_cast<std::size_t>(at_[static_cast<std::size_t>(m)])] = m;
    b_.total = 0.0;
    for (const double times : often_) b_.total += times;
    b_.symbols = symbols_.data(), b_.sources = sources_.data(), b_.starts = starts_.data();
    b_.at = at_.data(), b_.target_of = target_of_.data(), b_.sequence = sequence_.data();
    b_.often = often_.data(), b_.goals = goals_.data();
  }

  const CascadeKernels& kernel_;
  CascadeBatch b_{};
  std::vector<Index> symbols_, starts_, at_, target_of_, sequence_;
  std::vector<double> sources_, often_, goals_;
};

// Checks that `ends` is 0, then does not descend, and is `last` at the end.
void check_ends(const char* name, const Index* ends, Index count, Index last) {
  for (Index i = 0; i <= count; ++i)
    if (ends[i] < (i ? ends[i - 1] : 0) || ends[i] > last || (i == count && ends[i] != last) ||
        (i == 0 && ends[i] != 0))
      refuse(name, "[", i, "] is ", ends[i], ", expected numbers from 0 to ", last,
             " that do not decrease");
}

nb::bytes distinct_sequences(nb::object inputs, nb::object offsets, nb::object targets,
                             nb::object target_offsets, nb::object target_steps,
                             nb::object which) {
  using Rows = nb::ndarray<const std::uint8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
  const auto shape = [](nb::handle object, const char* name) {
    Rows rows;
    if (!nb::try_cast(object, rows, false))
      refuse(name, " has the wrong type, shape or layout: expected a contiguous uint8 array with "
                   "2 axes");
    return std::pair(static_cast<Index>(rows.shape(0)), static_cast<Index>(rows.shape(1)));
  };
  const auto [steps, input_bytes] = shape(inputs, "inputs");
  const auto [goals, target_bytes] = shape(targets, "targets");
  Array<Index> places;
  if (!nb::try_cast(which, places, false) || places.ndim() != 1)
    refuse("which has the wrong type, shape or layout: expected a contiguous int64 array with 1 "
           "axis");
  const Index n = static_cast<Index>(places.shape(0));
  Arrays arrays;
  SequenceBytes batch{};
  batch.count = n, batch.input_bytes = input_bytes, batch.target_bytes = target_bytes;
  batch.inputs =
      arrays.take<const std::uint8_t>(inputs, "inputs", {steps, input_bytes}, false);
  batch.targets =
      arrays.take<const std::uint8_t>(targets, "targets", {goals, target_bytes}, false);
  batch.offsets = arrays.take<const Index>(offsets, "offsets", {n + 1}, false);
  batch.target_offsets = arrays.take<const Index>(target_offsets, "target_offsets", {n + 1}, false);
  batch.target_steps = arrays.take<const Index>(target_steps, "target_steps", {goals}, false);
  Index* const to = arrays.take<Index>(which, "which", {n}, true);
  arrays.check();
  check_ends("offsets", batch.offsets, n, steps);
  check_ends("target_offsets", batch.target_offsets, n, goals);
  const std::string all = distinct(batch, to);
  return nb::bytes(all.data(), all.size());
}

}  // namespace

void bind_cascades(nb::module_& m) {
  nb::class_<Batch>(m, "CascadeBatch",
                    "The distinct sequences of an epoch of cascade-correlation, and the activations "
                    "of hidden units; carrousel/kernels/native/cascade.py makes the arguments.")
      .def(nb::init<nb::dict, const std::string&>(), nb::arg("arrays"),
           nb::arg("instruction_set") = "")
      .def("grow", &Batch::grow, nb::arg("weights"), nb::arg("tanh"), "Add a hidden unit.")
      .def("train_outputs", &Batch::train_outputs, nb::arg("weights"), nb::arg("offset"),
           nb::arg("errors"), nb::arg("slopes"), nb::arg("sums"),
           "Write errors of outputs and slopes of their weights.")
      .def("train_pool", &Batch::train_pool, nb::arg("weights"), nb::arg("errors"),
           nb::arg("tanh"), nb::arg("normalised"), nb::arg("merits"), nb::arg("slopes"),
           "Write correlations of candidates and slopes of their weights.")
      .def("predict", &Batch::predict, nb::arg("weights"), nb::arg("outputs"),
           "Write the outputs at all targets.")
      .def_prop_ro("nbytes", &Batch::nbytes, "Bytes of the arrays.");
  m.def("distinct_sequences", &distinct_sequences, nb::arg("inputs"), nb::arg("offsets"),
        nb::arg("targets"), nb::arg("target_offsets"), nb::arg("target_steps"), nb::arg("which"),
        "Write to `which` the place of each sequence among the distinct ones, longest first; return "
        "these and how often each occurs.");
}
