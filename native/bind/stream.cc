// Python classes of streams. Arrays are checked before a pointer is used.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>

#include "bind/arrays.h"
#include "bind/sequence.h"
#include "stream/learner.h"

using namespace carrousel;

namespace {

template <class Enum>
Enum choice(nb::dict d, const char* name, Enum last) {
  return static_cast<Enum>(check_number(name, setting<Index>(d, name), static_cast<Index>(last)));
}

StreamSettings settings_of(nb::dict d) {
  const auto number = [&](const char* name) { return setting<double>(d, name); };
  const auto flag = [&](const char* name) { return setting<bool>(d, name); };
  const auto count = [&](const char* name) {
    return check_number(name, setting<Index>(d, name), Index{1} << 24);
  };
  StreamSettings s{};
  StreamShape& shape = s.shape;
  shape.inputs = count("inputs"), shape.outputs = count("outputs");
  shape.blocks = count("blocks"), shape.block_size = count("block_size");
  shape.forget_gate = flag("forget_gate"), shape.gates_fed_back = flag("gates_fed_back");
  shape.direct = flag("direct");
  shape.g = choice(d, "g", Squash::identity), shape.h = choice(d, "h", Squash::identity);
  shape.head = choice(d, "head", Head::softmax);
  shape.optimizer = choice(d, "optimizer", Optimizer::adam);
  s.streams = count("streams");
  s.rule = choice(d, "rule", Rule::uoro), s.seed = setting<std::uint64_t>(d, "seed");
  const nb::object reach = d["reach"];
  if (!reach.is_none()) {
    Arrays arrays;
    const Index most = Index{1} << 17, U = std::min(shape.units(), most);
    const Index rows = std::min(shape.units() + shape.cells(), most);
    const auto* const given = arrays.take<const std::uint8_t>(reach, "reach", {rows, U}, false);
    s.reach.assign(given, given + rows * U);
  }
  const nb::object paths = d["paths"];
  const Index blocks = shape.blocks, each = count("n_paths");
  if (paths.is_none() && each) refuse("paths is None, expected ", each, " for each block");
  if (!paths.is_none()) {
    Arrays arrays;
    const auto* const given = arrays.take<const Index>(paths, "paths", {blocks, each}, false);
    s.paths.assign(given, given + blocks * each);
  }
  s.bound = number("bound");
  s.rate = number("rate"), s.decay = number("decay");
  s.momentum = number("momentum"), s.second = number("second");
  s.epsilon = number("epsilon"), s.clip = number("clip"), s.horizon = number("horizon");
  s.largest = number("largest");
  s.symbols = flag("symbols"), s.scale_targets = flag("scale_targets");
  s.missing = flag("missing"), s.by_key = flag("by_key"), s.experts = flag("experts");
  check(s);
  return s;
}

LearnerSettings learner_settings_of(nb::dict d) {
  LearnerSettings s{settings_of(d), false, {}, 0};
  s.delay = check_number("delay", setting<Index>(d, "delay"), Index{1} << 20);
  const nb::object given = d["rules"];
  s.has_rules = !given.is_none();
  if (!s.has_rules) return s;
  nb::dict rules;
  if (!nb::try_cast<nb::dict>(given, rules, false)) refuse_array("rules", "is not a dict");
  const auto count = [&](const char* name) {
    return check_number(name, setting<Index>(rules, name), Index{1} << 24);
  };
  s.rules.variables = count("variables"), s.rules.leads = count("leads");
  s.rules.inputs = count("inputs"), s.rules.lags = count("lags");
  s.rules.longest = count("longest");
  s.rules.periods = setting<std::vector<Index>>(rules, "periods");
  s.rules.levels = setting<std::vector<double>>(rules, "levels");
  return s;
}

std::vector<bool> flags_of(nb::object array, Index n) {
  Arrays arrays;
  const std::uint8_t* const given = arrays.take<const std::uint8_t>(array, "scaled", {n}, false);
  return std::vector<bool>(given, given + n);
}

template <class Real>
class Bound {
 public:
  Bound(nb::dict settings, nb::object scaled, const std::string& instruction_set)
      : Bound(learner_settings_of(settings), scaled, instruction_set) {}
  Bound(const Bound&) = delete;

  int peek(Index stream) {
    return code(stream_.peek(stream, x_.data(), outputs_.data(), bounds_.data()));
  }
  int advance(Index stream) {
    return code(stream_.advance(stream, x_.data(), outputs_.data(), bounds_.data()));
  }
  int learn(Index stream, double weight, Index back) {
    return code(stream_.learn(stream, back, target_.data(), weight));
  }
  int step(Index stream, double weight) {
    return code(stream_.step(stream, x_.data(), target_.data(), weight, outputs_.data(),
                             bounds_.data()));
  }
  int recall(Index stream) {
    return code(stream_.recall(stream, outputs_.data(), bounds_.data()));
  }
  int reset(Index stream) { return code(stream_.reset(stream)); }

  // Returns the number of rows processed, and the outcome of the last.
  std::pair<Index, int> run(nb::object streams, nb::object x, nb::object targets,
                            nb::object weights, nb::object owners, nb::object backs,
                            bool targets_first, nb::object outputs, nb::object bounds) {
    Arrays arrays;
    Array<const std::int64_t> counted;
    if (!nb::try_cast<Array<const std::int64_t>>(streams, counted, false) || counted.ndim() != 1)
      refuse_array("streams",
                   "has the wrong type, shape or layout: expected a contiguous int64 array with "
                   "1 axis");
    const Index rows = static_cast<Index>(counted.shape(0));
    const auto* which = arrays.take<const std::int64_t>(streams, "streams", {rows}, false);
    const auto* in = arrays.take<const double>(x, "x", {rows, stream_.input_values()}, false);
    RowsOfStreams job{rows, which, in};
    job.targets =
        arrays.given<const double>(targets, "targets", {rows, stream_.target_values()}, false);
    job.weights = arrays.given<const double>(weights, "weights", {rows}, false);
    job.owners = arrays.given<const std::int64_t>(owners, "owners", {rows}, false);
    job.backs = arrays.given<const std::int64_t>(backs, "backs", {rows}, false);
    job.targets_first = targets_first;
    job.outputs = arrays.take<double>(outputs, "outputs", {rows, stream_.outputs()}, true);
    job.bounds = arrays.given<double>(bounds, "bounds",
                                      {rows, stream_.outputs(), 2, stream_.bounds() / 2}, true);
    arrays.check();
    if (!job.owners != !job.backs) refuse("owners and backs must be given together");
    if (job.owners && !targets_first) refuse("owners need targets_first");
    Outcome outcome = Outcome::done;
    // Keeps the interpreter locked, since another thread may use the same object.
    const Index taken = stream_.run(job, outcome);
    return {taken, code(outcome)};
  }

  nb::dict parts() {
    nb::dict found;
    for (const auto& [name, part] : stream_.parts()) {
      nb::list shape;
      for (Index n : part.shape) shape.append(n);
      found[name.c_str()] = nb::make_tuple(part.of_stream, nb::tuple(shape));
    }
    return found;
  }
  void read(const std::string& name, Index stream, nb::object to) {
    Arrays arrays;
    const std::vector<Index> as = shape(name, stream);
    stream_.read(name, stream, arrays.take<double>(to, "to", as.data(), as.size(), true));
  }
  void write(const std::string& name, Index stream, nb::object from) {
    Arrays arrays;
    const std::vector<Index> as = shape(name, stream);
    stream_.write(name, stream,
                  arrays.take<const double>(from, "source", as.data(), as.size(), false));
  }

  std::vector<int> flags() {
    return {net().flags().begin(), net().flags().end()};
  }
  void set_flags(Index stream, int flags) {
    constexpr int used = Stream<Real>::kUsed, standing = Stream<Real>::kStanding;
    check_stream(stream);
    if (flags != 0 && flags != used && flags != (used | standing))
      refuse("flags is ", flags, ", expected 0, 1 or 3");
    stream_.set_flags(stream, static_cast<std::uint8_t>(flags));
  }
  bool finite() { return net().finite(); }
  std::size_t bytes() const { return stream_.bytes(); }
  double lost() const { return stream_.lost(); }
  double rate() { return net().settings().rate; }
  void set_rate(double rate) {
    if (!(rate >= 0 && rate < 1e30))
      refuse("rate is ", rate, ", expected 0 to below 1e30");
    net().set_rate(rate);
  }

  using Buffer = nb::ndarray<nb::numpy, double, nb::ndim<1>>;
  Buffer input(nb::handle self) { return buffer(self, x_); }
  Buffer target(nb::handle self) { return buffer(self, target_); }
  Buffer outputs(nb::handle self) { return buffer(self, outputs_); }
  Buffer bounds(nb::handle self) { return buffer(self, bounds_); }

 private:
  Bound(const LearnerSettings& settings, nb::object scaled, const std::string& instruction_set)
      : stream_(settings, flags_of(scaled, settings.stream.shape.inputs),
                kernel_named<Real>(stream_kernels(), instruction_set),
                kernels_named(stream_kernels(), instruction_set),
                kernels_named(rule_kernels(), instruction_set)),
        x_(static_cast<std::size_t>(stream_.input_values())),
        target_(static_cast<std::size_t>(stream_.target_values())),
        outputs_(static_cast<std::size_t>(stream_.outputs())),
        bounds_(static_cast<std::size_t>(stream_.outputs() * stream_.bounds())) {}

  Stream<Real>& net() { return stream_.net(); }

  static int code(Outcome outcome) { return static_cast<int>(outcome); }
  static Buffer buffer(nb::handle self, std::vector<double>& of) {
    return Buffer(of.data(), {of.size()}, self);
  }
  void check_stream(Index stream) {
    if (stream < 0 || stream >= net().settings().streams)
      refuse("stream is ", stream, ", expected 0..", net().settings().streams - 1);
  }
  std::vector<Index> shape(const std::string& name, Index stream) {
    const auto parts = stream_.parts();
    const auto part = parts.find(name);
    if (part == parts.end())
      refuse("a stream of this network has no part '", name, "'");
    check_stream(stream);
    return part->second.shape;
  }

  Learner<Real> stream_;
  std::vector<double> x_, target_, outputs_, bounds_;
};

template <class Real>
void bind(nb::module_& m, const char* name) {
  using S = Bound<Real>;
  nb::class_<S>(m, name, "A network that learns at every step of one or many streams.")
      .def(nb::init<nb::dict, nb::object, const std::string&>(), nb::arg("settings"),
           nb::arg("scaled"), nb::arg("instruction_set") = "")
      .def("peek", &S::peek, nb::arg("stream"), "Compute `outputs`, keep the state unchanged.")
      .def("advance", &S::advance, nb::arg("stream"), "Run one step from `input` to `outputs`.")
      .def("learn", &S::learn, nb::arg("stream"), nb::arg("weight"), nb::arg("back"),
           "Learn `target`, the target of the last step, or of one `back` steps before.")
      .def("step", &S::step, nb::arg("stream"), nb::arg("weight"),
           "Advance, and learn unless `target` is NaN.")
      .def("run", &S::run, nb::arg("streams"), nb::arg("x"), nb::arg("targets").none(),
           nb::arg("weights").none(), nb::arg("owners").none(), nb::arg("backs").none(),
           nb::arg("targets_first"), nb::arg("outputs"), nb::arg("bounds").none(),
           "Process rows in order; return how many were processed, and an outcome.")
      .def("recall", &S::recall, nb::arg("stream"), "Write `outputs` and `bounds` of the last step.")
      .def("reset", &S::reset, nb::arg("stream"), "Reset a stream.")
      .def("parts", &S::parts, "Name of each part of the state -> (one per stream, shape).")
      .def("read", &S::read, nb::arg("name"), nb::arg("stream"), nb::arg("to"))
      .def("write", &S::write, nb::arg("name"), nb::arg("stream"), nb::arg("source"))
      .def("flags", &S::flags, "For each stream: 0 unused, 1 used, 3 waiting for a target.")
      .def("set_flags", &S::set_flags, nb::arg("stream"), nb::arg("flags"))
      .def("finite", &S::finite, "Whether all weights and running gradients are finite.")
      .def_prop_rw("rate", &S::rate, &S::set_rate)
      .def_prop_ro("nbytes", &S::bytes)
      .def_prop_ro("lost", &S::lost, "Number of targets that came too late.")
      .def_prop_ro("input", [](nb::handle self) { return nb::cast<S&>(self).input(self); })
      .def_prop_ro("target", [](nb::handle self) { return nb::cast<S&>(self).target(self); })
      .def_prop_ro("outputs", [](nb::handle self) { return nb::cast<S&>(self).outputs(self); })
      .def_prop_ro("bounds", [](nb::handle self) { return nb::cast<S&>(self).bounds(self); });
}

}  // namespace

void bind_streams(nb::module_& m) {
  bind<float>(m, "StreamFloat");
  bind<double>(m, "StreamDouble");
}
