// Python functions of the neural sequence chunker. Arrays are checked before a pointer is used.
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "bind/arrays.h"
#include "bind/sequence.h"
#include "chunker/chunker.h"

using namespace carrousel;

namespace {

SimpleNet net_of(nb::dict d) {
  const auto flag = [&](const char* name) {
    return check_number(name, setting<Index>(d, name), 1);
  };
  SimpleNet net{};
  net.inputs = setting<Index>(d, "inputs"), net.units = setting<Index>(d, "units");
  net.outputs = setting<Index>(d, "outputs");
  net.tanh = flag("tanh"), net.direct = flag("direct");
  net.hidden_bias = flag("hidden_bias"), net.output_bias = flag("output_bias");
  return net;
}

ChunkerJob job_of(nb::dict d) {
  ChunkerJob job{};
  job.below = net_of(setting<nb::dict>(d, "below"));
  job.above = net_of(setting<nb::dict>(d, "above"));
  job.depth = setting<Index>(d, "depth");
  constexpr double most = std::numeric_limits<float>::max();
  const double rate = setting<double>(d, "rate"), threshold = setting<double>(d, "threshold");
  if (!(std::abs(rate) <= most)) refuse("rate is ", rate, ", expected a finite number in float32");
  job.rate = static_cast<float>(rate);
  job.threshold = static_cast<float>(std::min(threshold, most));
  job.symbols = check_number("symbols", setting<Index>(d, "symbols"), 1);
  job.classes = check_number("classes", setting<Index>(d, "classes"), 1);
  check(job);
  return job;
}

// Checks the shapes of one trial's arrays, all but its weights.
ChunkerTrial trial_of(const ChunkerJob& job, nb::dict d, Arrays& arrays) {
  const auto length = [&](const char* name) {
    const nb::object array = d[name];
    const Py_ssize_t n = PyObject_Length(array.ptr());
    if (n >= 0) return static_cast<Index>(n);
    PyErr_Clear();
    refuse_array(name, "has no length, expected an array");
  };
  ChunkerTrial trial{};
  Lane& lane = trial.lane;
  const Index steps = length("inputs"), goals = length("targets"), ends = length("offsets");
  if (ends < 1) refuse("offsets is empty, expected one entry more than there are sequences");
  lane.n_steps = steps, lane.n_targets = goals, lane.n_sequences = ends - 1;
  const Index N = lane.n_sequences, O = job.targets();
  if (job.symbols)
    lane.symbols = arrays.take<const std::int32_t>(d["inputs"], "inputs", {steps}, false);
  else
    lane.values =
        arrays.take<const float>(d["inputs"], "inputs", {steps, job.below.inputs}, false);
  if (job.classes)
    lane.classes = arrays.take<const std::int32_t>(d["targets"], "targets", {goals}, false);
  else lane.targets = arrays.take<const float>(d["targets"], "targets", {goals, O}, false);
  const auto positions = [&](const char* name, Index n) {
    return arrays.take<const Index>(d[name], name, {n}, false);
  };
  lane.offsets = positions("offsets", ends);
  lane.target_offsets = positions("target_offsets", ends);
  lane.target_steps = positions("target_steps", goals);
  if (!job.learn) {
    lane.outputs = arrays.take<float>(d["outputs"], "outputs", {goals, O}, true);
    return trial;
  }
  const auto errors = [&](const char* name) {
    return arrays.take<float>(d[name], name, {N}, true);
  };
  lane.max_abs = errors("max_abs"), lane.sum_abs = errors("sum_abs");
  lane.sum_sq = errors("sum_sq");
  trial.surprises = arrays.take<Index>(d["surprises"], "surprises", {N}, true);
  return trial;
}

void run(ChunkerJob job, nb::handle below, nb::handle above, nb::list data, Index threads,
         const std::string& instruction_set) {
  if (threads < 1 || threads > 1024) refuse("threads is ", threads, ", expected 1..1024");
  const Index lanes = static_cast<Index>(data.size());
  const Index W = weight_count(job.below), W_above = weight_count(job.above);
  Arrays arrays;
  // Predicting changes no weights, which may then be read-only.
  float* const weights =
      job.learn ? arrays.take<float>(below, "below", {lanes, W}, true)
                : const_cast<float*>(arrays.take<const float>(below, "below", {lanes, W}, false));
  float* const weights_above = arrays.given<float>(above, "above", {lanes, W_above}, true);
  std::vector<ChunkerTrial> trials;
  for (Index i = 0; i < lanes; ++i) {
    const nb::object item = nb::borrow(data[static_cast<std::size_t>(i)]);
    if (item.is_none()) continue;
    nb::dict part;
    if (!nb::try_cast<nb::dict>(item, part))
      refuse("data[", i, "] has the wrong type, expected a dict or None");
    ChunkerTrial trial = trial_of(job, part, arrays);
    trial.lane.weights = weights + i * W;
    if (job.learn) trial.above = weights_above + i * W_above;
    check(job, trial, i);
    trials.push_back(trial);
  }
  arrays.check();
  for (const Kernel* kernel : kernels()) {
    if (!instruction_set.empty() && instruction_set != kernel->name) continue;
    const nb::gil_scoped_release unlocked;
    return run_chunkers(*kernel->chunkers, job, trials, static_cast<int>(threads));
  }
  refuse("instruction set '", instruction_set, "' is not available on this processor");
}

}  // namespace

void bind_chunkers(nb::module_& m) {
  m.def(
      "learn_chunkers",
      [](nb::dict job, nb::object below, nb::object above, nb::list data, Index threads,
         const std::string& instruction_set) {
        ChunkerJob learning = job_of(job);
        learning.learn = true;
        if (above.is_none()) refuse("above is None, expected the weights of the net above");
        run(learning, below, above, data, threads, instruction_set);
      },
      nb::arg("job"), nb::arg("below"), nb::arg("above"), nb::arg("data"), nb::arg("threads"),
      nb::arg("instruction_set") = "",
      "Learn with pairs of nets; carrousel/kernels/native/chunker.py makes the arguments.");
  m.def(
      "predict_chunkers",
      [](nb::dict job, nb::object below, nb::list data, Index threads,
         const std::string& instruction_set) {
        run(job_of(job), below, nb::none(), data, threads, instruction_set);
      },
      nb::arg("job"), nb::arg("below"), nb::arg("data"), nb::arg("threads"),
      nb::arg("instruction_set") = "", "Predict with the lower nets of pairs.");
  m.def(
      "chunker_bytes",
      [](nb::dict job) { return kernels().front()->chunkers->workspace_bytes(job_of(job)); },
      nb::arg("job"), "Bytes that a thread needs to run a pair of nets.");
}
