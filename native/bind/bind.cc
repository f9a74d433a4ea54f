// The Python module: lanes here, the other kernels in sequence.cc, step.cc, stream.cc and sample.cc.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <optional>
#include <type_traits>

#include "bind/sequence.h"
#include "common/carrousel.h"
#include "common/refuse.h"

namespace nb = nanobind;
using carrousel::Index;
using carrousel::refuse;

namespace {

template <class T, int Dimensions>
using Array = nb::ndarray<T, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;
using Floats = Array<const float, 1>;
using Table = Array<const float, 2>;
using Symbols = Array<const std::int32_t, 1>;
using Positions = Array<const Index, 1>;
using Seeds = Array<const std::uint64_t, 1>;

template <class A>
constexpr const char* description_of() {
  if constexpr (std::is_same_v<A, Symbols>) return "int32 array with 1 axis";
  else if constexpr (std::is_same_v<A, Positions>) return "int64 array with 1 axis";
  else if constexpr (std::is_same_v<A, Seeds>) return "uint64 array with 1 axis";
  else if constexpr (std::is_same_v<A, Floats> || std::is_same_v<A, Array<float, 1>>)
    return "float32 array with 1 axis";
  else return "float32 array with 2 axes";
}

// The array itself, without conversion: a converted copy might be freed too early, and the caller
// would not see what is written to it.
template <class T>
T array(nb::handle object, const char* name) {
  T found;
  if (!nb::try_cast<T>(object, found, false))
    refuse(name, " has the wrong type, shape or layout: expected a contiguous ",
           description_of<T>());
  return found;
}

// The Shape of a description from Python. All its numbers are checked here.
carrousel::Shape shape_of(nb::dict d) {
  const auto number = [&](const char* name, Index least, Index most) {
    const Index value = nb::cast<Index>(d[name]);
    if (value < least || value > most)
      refuse(name, " is ", value, ", expected ", least, "..", most);
    return value;
  };
  const auto groups = [&](const char* name) {
    return carrousel::Groups{static_cast<std::uint32_t>(number(name, 0, 15))};
  };
  carrousel::Shape s{};
  s.inputs = number("inputs", 1, Index{1} << 24);
  s.outputs = number("outputs", 1, Index{1} << 24);
  s.blocks = number("blocks", 1, 4096);
  s.block_size = number("block_size", 1, 4096);
  s.g = static_cast<carrousel::Squash>(number("g", 0, 4));
  s.h = static_cast<carrousel::Squash>(number("h", 0, 4));
  s.kind = static_cast<carrousel::Kind>(number("kind", 0, 2));
  s.output_gate = number("output_gate", 0, 1);
  s.forget_gate = number("forget_gate", 0, 1);
  s.fed_back = groups("fed_back"), s.receivers = groups("receivers");
  s.biased_groups = groups("biased_groups");
  s.direct = number("direct", 0, 1);
  s.united = number("united", 0, 1);
  s.output_bias = number("output_bias", 0, 1);
  s.symbols = number("symbols", 0, 1);
  s.classes = number("classes", 0, 1);
  const auto all_there = [&](carrousel::Groups of) {
    for (int g = 0; g < 4; ++g)
      if (of.has(static_cast<carrousel::Group>(g)) && s.size(static_cast<carrousel::Group>(g)) == 0)
        return false;
    return true;
  };
  if (!all_there(s.fed_back) || !all_there(s.receivers) || !all_there(s.biased_groups))
    refuse("fed_back, receivers or biased_groups holds a group of units that the layer lacks");
  if (s.fed_back.any() != s.receivers.any())
    refuse("fed_back and receivers must both hold units, or none");
  if (s.memory() && s.united) refuse("memory cells cannot be united");
  if (!s.memory() && (!s.recurrent() || s.block_size != 1 || s.output_gate || s.forget_gate))
    refuse("simple units must be recurrent, with block_size 1 and without gates");
  if (s.united && (s.direct || s.outputs > s.units() || s.output_bias))
    refuse("united outputs are hidden units: expected direct 0, output_bias 0, and at most as many "
           "outputs as units");
  return s;
}

template <class A>
void expect(const A& array, Index rows, const char* name) {
  if (static_cast<Index>(array.shape(0)) != rows)
    refuse(name, " has ", array.shape(0), " rows, expected ", rows);
}

template <class A>
void expect_width(const A& array, Index width, const char* name) {
  if (static_cast<Index>(array.shape(1)) != width)
    refuse(name, " has ", array.shape(1), " columns, expected ", width);
}

// One lane's arrays, kept alive during the call.
struct Held {
  nb::object inputs, targets;
  Positions offsets, target_steps, target_offsets;
  Seeds seeds;
  std::vector<Array<float, 1>> errors;
  Array<float, 2> outputs;
};

void take_inputs(const carrousel::Shape& s, Held& held, carrousel::Lane& lane) {
  if (s.symbols) {
    const auto a = array<Symbols>(held.inputs, "inputs");
    lane.symbols = a.data(), lane.n_steps = static_cast<Index>(a.shape(0));
  } else {
    const auto a = array<Table>(held.inputs, "inputs");
    expect_width(a, s.inputs, "inputs");
    lane.values = a.data(), lane.n_steps = static_cast<Index>(a.shape(0));
  }
}

void take_targets(const carrousel::Shape& s, Held& held, carrousel::Lane& lane) {
  if (s.classes) {
    const auto a = array<Symbols>(held.targets, "targets");
    lane.classes = a.data(), lane.n_targets = static_cast<Index>(a.shape(0));
  } else {
    const auto a = array<Table>(held.targets, "targets");
    expect_width(a, s.outputs, "targets");
    lane.targets = a.data(), lane.n_targets = static_cast<Index>(a.shape(0));
  }
}

carrousel::Lane take_lane(const carrousel::Job& job, nb::dict d, Held& held) {
  carrousel::Lane lane{};
  held.inputs = nb::borrow(d["inputs"]);
  held.targets = nb::borrow(d["targets"]);
  take_inputs(job.shape, held, lane);
  take_targets(job.shape, held, lane);
  held.offsets = array<Positions>(d["offsets"], "offsets");
  held.target_steps = array<Positions>(d["target_steps"], "target_steps");
  held.target_offsets = array<Positions>(d["target_offsets"], "target_offsets");
  if (held.offsets.shape(0) < 1)
    refuse("offsets is empty, expected one entry more than there are sequences");
  lane.n_sequences = static_cast<Index>(held.offsets.shape(0)) - 1;
  expect(held.target_offsets, lane.n_sequences + 1, "target_offsets");
  expect(held.target_steps, lane.n_targets, "target_steps");
  lane.offsets = held.offsets.data();
  lane.target_steps = held.target_steps.data();
  lane.target_offsets = held.target_offsets.data();
  if (job.learn && job.rule == carrousel::Rule::uoro) {
    held.seeds = array<Seeds>(d["seeds"], "seeds");
    expect(held.seeds, lane.n_sequences, "seeds");
    lane.seeds = held.seeds.data();
  }
  if (job.learn) {
    float** const places[] = {&lane.max_abs, &lane.sum_abs, &lane.sum_sq};
    const char* const names[] = {"max_abs", "sum_abs", "sum_sq"};
    for (int i = 0; i < 3; ++i) {
      held.errors.push_back(array<Array<float, 1>>(d[names[i]], names[i]));
      expect(held.errors.back(), lane.n_sequences, names[i]);
      *places[i] = held.errors.back().data();
    }
  } else {
    held.outputs = array<Array<float, 2>>(d["outputs"], "outputs");
    expect(held.outputs, lane.n_targets, "outputs");
    expect_width(held.outputs, job.shape.outputs, "outputs");
    lane.outputs = held.outputs.data();
  }
  return lane;
}

const carrousel::Kernel& kernel_named(const std::string& name) {
  for (const auto* kernel : carrousel::kernels())
    if (name.empty() || name == kernel->name) return *kernel;
  refuse("instruction set '", name, "' is not available on this processor");
}

carrousel::Rule rule_of(const std::string& gradient) {
  if (gradient == "truncated") return carrousel::Rule::truncated;
  if (gradient == "bptt") return carrousel::Rule::bptt;
  if (gradient == "rtrl" || gradient == "sparse") return carrousel::Rule::rtrl;
  if (gradient == "snap") return carrousel::Rule::snap;  // of depth 1
  if (gradient == "uoro") return carrousel::Rule::uoro;
  refuse("gradient is '", gradient, "', expected truncated, bptt, rtrl, sparse, snap or uoro");
}

void run(nb::dict description, const std::string& update, bool output_derivative,
         float derivative_floor, float derivative_offset, float error_tolerance,
         std::optional<Floats> factors, float initial_activation, bool learn, const std::string& gradient, Index depth,
         Index stride, std::optional<Table> paths, Array<float, 2> weights, std::optional<Array<float, 2>> gradients,
         Floats rates, Positions cells_from, nb::list data, int threads,
         const std::string& instruction_set) {
  carrousel::Job job{};
  job.shape = shape_of(description);
  job.update = update == "step"       ? carrousel::Update::step
               : update == "sequence" ? carrousel::Update::sequence
               : update == "epoch"    ? carrousel::Update::epoch
                                      : (refuse("update is '" + update +
                                                "', expected step, sequence or epoch"),
                                         carrousel::Update::step);
  job.output_derivative = output_derivative;
  job.derivative_floor = derivative_floor, job.derivative_offset = derivative_offset;
  job.error_tolerance = error_tolerance;
  job.initial_activation = initial_activation;
  job.learn = learn;
  job.gradient = gradients.has_value();
  job.rule = rule_of(gradient);
  job.depth = depth, job.stride = stride;
  if (depth < 0 || depth > (Index{1} << 32))
    refuse("depth is ", depth, ", expected 0..2^32");
  if (stride < 1 || (stride > 1 && (job.rule != carrousel::Rule::bptt || stride > depth)))
    refuse("stride is ", stride, ", expected 1..depth for gradient bptt and 1 for others");
  if (job.rule == carrousel::Rule::snap && job.shape.block_size > 64)
    refuse("block_size is ", job.shape.block_size, ", expected at most 64 for gradient snap");
  if (job.rule != carrousel::Rule::bptt && depth != 0)
    refuse("depth is ", depth, ", expected 0 unless the gradient is bptt");
  if (learn && job.rule == carrousel::Rule::bptt && depth == 0 &&
      job.update == carrousel::Update::step)
    refuse("bptt with depth 0 (unbounded) cannot update weights at every step: set a depth, or "
           "update by sequence or epoch");
  if (job.gradient && (!learn || job.update != carrousel::Update::epoch))
    refuse("gradients are given, expected none unless learning with update 'epoch'");
  if (job.shape.united && !output_derivative)
    refuse("output_derivative is false, expected true for united outputs");
  if (job.shape.united && (derivative_floor != 0 || derivative_offset != 0))
    refuse("expected derivative_floor and derivative_offset 0 for united outputs");
  if (!std::isfinite(initial_activation))
    refuse("initial_activation is ", initial_activation, ", expected a finite number");
  if (threads < 1 || threads > 1024)
    refuse("threads is ", threads, ", expected 1..1024");
  const Index lanes = static_cast<Index>(data.size());
  expect(weights, lanes, "weights");
  expect_width(weights, carrousel::weight_count(job.shape), "weights");
  if (gradients) {
    expect(*gradients, lanes, "gradients");
    expect_width(*gradients, carrousel::weight_count(job.shape), "gradients");
  }
  if (paths.has_value() != (gradient == "sparse"))
    refuse("paths are expected for gradient sparse, and for no other");
  if (paths) {
    expect(*paths, job.shape.units(), "paths");
    expect_width(*paths, job.shape.units(), "paths");
    job.paths = paths->data();
  }
  if (factors) {
    expect(*factors, carrousel::weight_count(job.shape), "factors");
    job.factors = factors->data();
  }
  carrousel::check(job);
  expect(rates, lanes, "rates");
  expect(cells_from, lanes, "cells_from");
  std::vector<Held> held(data.size());
  std::vector<carrousel::Lane> run_these;
  for (Index i = 0; i < lanes; ++i) {
    const nb::object item = nb::borrow(data[i]);
    if (item.is_none()) continue;
    carrousel::Lane lane = take_lane(job, nb::cast<nb::dict>(item), held[i]);
    lane.weights = weights.data() + i * static_cast<Index>(weights.shape(1));
    if (gradients) lane.gradient = gradients->data() + i * static_cast<Index>(weights.shape(1));
    lane.number = i, lane.rate = rates.data()[i];
    lane.cells_from = cells_from.data()[i];
    carrousel::check(job, lane, i);
    run_these.push_back(lane);
  }
  carrousel::check_overlaps(job, run_these);
  const carrousel::Kernel& kernel = kernel_named(instruction_set);
  const nb::gil_scoped_release unlocked;
  carrousel::run_lanes(kernel, job, run_these, threads);
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "Compiled kernels of carrousel.";
  // torch releases the arrays it views after the interpreter has ended. nanobind would report what
  // they keep alive as leaks.
  nb::set_leak_warnings(false);
  m.def(
      "instruction_set", [] { return std::string(carrousel::kernels().front()->name); },
      "Name of the fastest instruction set of this processor, which kernels use by default.");
  m.def(
      "available_instruction_sets",
      [] {
        std::vector<std::string> names;
        for (const auto* kernel : carrousel::kernels()) names.emplace_back(kernel->name);
        return names;
      },
      "Names of all instruction sets that this processor can run, fastest first.");
  m.def(
      "lane_width", [](const std::string& name) { return kernel_named(name).width; },
      nb::arg("instruction_set") = "", "Number of lanes in one vector of an instruction set.");
  m.def("run_lanes", &run, nb::arg("shape"), nb::arg("update"), nb::arg("output_derivative"),
        nb::arg("derivative_floor"), nb::arg("derivative_offset"), nb::arg("error_tolerance"),
        nb::arg("factors").noconvert().none(), nb::arg("initial_activation"), nb::arg("learn"),
        nb::arg("gradient"), nb::arg("depth"), nb::arg("stride"), nb::arg("paths").noconvert().none(), nb::arg("weights").noconvert(), nb::arg("gradients").noconvert().none(),
        nb::arg("rates"), nb::arg("cells_from"), nb::arg("data"), nb::arg("threads"),
        nb::arg("instruction_set") = "",
        "Learn or predict with many lanes, or compute their gradients; carrousel/kernels/native/lanes.py "
        "makes the arguments.");
  bind_chunkers(m);
  bind_sequences(m);
  bind_unmasked(m);
  bind_steps(m);
  bind_live(m);
  bind_streams(m);
  bind_samples(m);
  bind_cascades(m);
  bind_class_experts(m);
}
